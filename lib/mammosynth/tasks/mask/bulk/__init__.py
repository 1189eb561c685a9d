"""Data sets of mammograms that nobody has: balanced, reproducible, and read back by `tasks.mask.data`."""
