"""Ways of training."""
