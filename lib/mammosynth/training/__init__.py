"""From pairs of images to a bundle that can be served."""
