"""Data sets as their authors publish them, as cases of mask: one a file; the prepared folders are read by `data`."""
