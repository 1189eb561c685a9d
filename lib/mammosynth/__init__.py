"""MammoSynth: synthesized mammograms for research. Platform-free domain code; `monailabel_app` serves it."""

from importlib.metadata import version

__version__ = version("mammosynth")
