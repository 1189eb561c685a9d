"""What `monailabel start_server --app monailabel_app` loads. It runs this file by path: absolute imports only."""

from monailabel_app.app import MammoSynthApp

__all__ = ["MammoSynthApp"]
