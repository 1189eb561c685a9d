"""Ways in which contrast models are trained."""
