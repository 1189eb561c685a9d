"""The parametric breast: a compressed breast in 2-D as some twenty numbers; drawn, drawn at random, fitted."""
