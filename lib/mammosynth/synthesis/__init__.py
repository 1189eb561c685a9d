"""What every model does alike: running a network, and what comes back."""
