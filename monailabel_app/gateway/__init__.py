"""The ASGI app that users reach: guard, proxy to the archive, synthesis jobs, inference, static viewer."""
