"""Blinded copies: what a reader's browser gets of an image, the same in everything but the anatomy for every arm."""
