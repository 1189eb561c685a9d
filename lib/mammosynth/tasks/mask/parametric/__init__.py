"""The parametric breast: a compressed breast in two dimensions as some twenty numbers, drawn, drawn at random, fitted."""
