"""What a person may see, and which routes are open to them: the one place where roles differ.

A reader sees nothing yet: reader studies will open one case at a time, by a wider scope. What is not named here is
closed to readers, also what is built later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from monailabel_app.identity import Identity, Role


@dataclass(frozen=True)
class ViewerScope:
    """What the viewer shows a person; the proxy says nothing of studies outside it.

    Attributes:
        study_instance_uids: Studies that may be seen; None: every one.
        extensions: Our extensions of the viewer.
        modes: Our modes of the viewer.
        show_study_list: Whether the viewer has its list of studies.
    """

    study_instance_uids: frozenset[str] | None
    extensions: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    show_study_list: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether no study is hidden."""
        return self.study_instance_uids is None

    def holds(self, study_instance_uid: object) -> bool:
        """Whether a study may be seen."""
        return self.study_instance_uids is None or study_instance_uid in self.study_instance_uids


EVERYTHING = ViewerScope(
    study_instance_uids=None,
    extensions=("/ohif/extensions/mammosynth.js",),
    modes=("/ohif/extensions/synthesis-mode.js",),
    show_study_list=True,
)
NOTHING = ViewerScope(study_instance_uids=frozenset())
_OWNERS_ONLY = re.compile(r"/reading(?:/.*)?")  # arms and answers of reader studies
_OPEN_TO_READERS = re.compile(r"/|/health|/ohif(?:/.*)?|/proxy/dicom/.*")  # the last two answer by scope


def viewer_scope(identity: Identity) -> ViewerScope:
    """What the viewer shows somebody."""
    return NOTHING if identity.role is Role.READER else EVERYTHING


def may_ask(identity: Identity, method: str, path: str) -> bool:
    """Whether a route is open to somebody.

    Args:
        identity: Who asks.
        method: Of the request, in capitals.
        path: Of the request, decoded.
    """
    if identity.role is Role.READER:
        return method in ("GET", "HEAD") and _OPEN_TO_READERS.fullmatch(path) is not None
    return identity.role is Role.OWNER or _OWNERS_ONLY.fullmatch(path) is None
