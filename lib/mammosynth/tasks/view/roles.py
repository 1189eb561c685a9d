"""Names of the task, its inputs and its own outputs; which view is made from which."""

from mammosynth.terms import ViewPosition

VIEW = "view"
SOURCE, LESIONS = "source", "lesions"
MASK, BAND = "mask", "band"
"""Where the lesions are shown; where they must lie with a chance of nine in ten."""
OTHER = {ViewPosition.CC: ViewPosition.MLO, ViewPosition.MLO: ViewPosition.CC}
"""The view that is made from a view."""
