"""The use cases: what can be synthesized, with which parameters, and what comes back."""
