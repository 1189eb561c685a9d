"""From cases to a bundle that can be served, whatever the task."""
