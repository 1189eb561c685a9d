"""`ClosedStudy`: a study whose answers may be looked at, verified once for all that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mammosynth.errors import ConflictError, DataError
from mammosynth.reading.analysis.table import answer_table
from mammosynth.reading.protocol import Protocol, protocol_from_canonical
from mammosynth.reading.tables import CLOSED
from mammosynth.reading.verify import problems_of


@dataclass(frozen=True, eq=False)
class ClosedStudy:
    """A study that is closed and verifies.

    Attributes:
        content: As `StudyStore.content` gives it.
        protocol: As it was frozen.
        answers: Those that count, see `answer_table`.
    """

    content: Mapping[str, Any]
    protocol: Protocol
    answers: pd.DataFrame

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ClosedStudy:
        """The study of what a store or a backup holds.

        Args:
            content: As `StudyStore.content` gives it.

        Raises:
            ConflictError: If it is open.
            DataError: If it does not verify.
        """
        if found := problems_of(content):
            raise DataError("\n  ".join(["The study does not verify, so that nothing is computed of it:", *found[:20]]))
        if content["records"][-1]["kind"] != CLOSED:
            name = content["study"]["name"]
            raise ConflictError(
                f"{name} is open, and its answers stay unseen; close it first: mammosynth study close {name}"
            )
        protocol = protocol_from_canonical(content["study"]["protocol"])
        return cls(content, protocol, answer_table(protocol, content))
