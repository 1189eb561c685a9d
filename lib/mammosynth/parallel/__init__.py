"""Many orders at once: `Engine`, and the two that there are, in processes of this machine or on a Ray cluster."""
