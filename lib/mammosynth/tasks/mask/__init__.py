"""Mask: a whole mammogram from a drawn label map."""
