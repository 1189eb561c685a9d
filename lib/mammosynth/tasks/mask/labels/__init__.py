"""Label maps of the breast: found on real images, drawn anew, and held to what a person could draw."""
