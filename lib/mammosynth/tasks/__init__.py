"""One folder a task. Nothing outside imports them: they are found by the entry-point group `mammosynth.tasks`."""
