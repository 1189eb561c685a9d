"""The blinded reader study: protocol -> design -> store -> statistics -> report."""
