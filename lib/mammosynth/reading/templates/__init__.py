"""Protocols to begin with; `mammosynth study new --template NAME` copies one."""
