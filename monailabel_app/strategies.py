"""Which image comes next.

The platform's own strategies ask the datastore about every image one by one, which is a query each on an archive.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy


class ChoiceStrategy(Strategy):
    """Picks one of the images that can be sources."""

    def __init__(self, description: str, choose: Callable[[Sequence[str]], str]) -> None:
        super().__init__(description)
        self._choose = choose

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The id of an image; None if there is none."""
        images = sorted(datastore.list_images())
        return {"id": self._choose(images)} if images else None


STRATEGIES = {
    "random": ChoiceStrategy("any image, by chance", random.choice),
    "first": ChoiceStrategy("the first image by id", lambda images: images[0]),
}
