"""What can become of an order that is given to workers elsewhere; known without Ray."""

from mammosynth.errors import MammoSynthError


class PoolError(MammoSynthError):
    """Of the workers, not of what they were asked."""


class PoolAwayError(PoolError):
    """There are no workers at the moment; the order was not begun, or is not at fault."""


class WorkerDiedError(PoolError):
    """The worker that had the order died, perhaps of it."""
