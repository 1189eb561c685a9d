"""Data sets as their authors publish them: which images there are, and each with what is drawn on it."""
