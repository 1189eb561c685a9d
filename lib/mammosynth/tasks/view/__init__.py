"""View: the other standard view of a breast, from the one that there is, with its lesions where they must be."""
