"""Names of the task, its inputs and its own outputs."""

VIEW = "view"
SOURCE, LESIONS = "source", "lesions"
MASK, BAND = "mask", "band"
"""Where the lesions are shown; where they must lie with a chance of nine in ten."""
