"""One file per change of layout."""
