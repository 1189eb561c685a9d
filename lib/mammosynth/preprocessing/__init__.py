"""From an image as stored to a network's frame, and back: numpy, scipy and Pillow only."""
