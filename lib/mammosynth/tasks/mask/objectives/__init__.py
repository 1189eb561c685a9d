"""How mask models are trained."""
