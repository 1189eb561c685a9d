"""The only place that knows the platform: MONAI Label, FastAPI, PACS, viewers."""
