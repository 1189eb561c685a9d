"""What a person may see, and which routes are open to them: the one place where roles differ.

A reader sees the case that they read, which comes by `gateway.reading_room`, and nothing of the archive. What is not
named here is closed to readers, also what is built later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from monailabel_app.identity import Identity, Role


@dataclass(frozen=True)
class ViewerScope:
    """What the viewer shows a person; the proxy says nothing of studies outside it.

    Attributes:
        study_instance_uids: Studies of the archive that may be seen; None: every one.
        dicom: Where the viewer asks for images.
        extensions: Our extensions of the viewer.
        modes: Our modes of the viewer.
        show_study_list: Whether the viewer has its list of studies.
    """

    study_instance_uids: frozenset[str] | None
    dicom: str = "/proxy/dicom"
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
READING = ViewerScope(
    study_instance_uids=frozenset(),
    dicom="/reading-room/dicom",
    extensions=("/ohif/extensions/reading-room.js",),
    modes=("/ohif/extensions/reading-mode.js",),
)
_OPEN_TO_ANYBODY = ("/health", "/ready")  # whoever watches over the server has no token; they tell nothing but that
_CLOSED_TO_USERS = re.compile(r"/metrics|/reading(?:-room)?(?:/.*)?")  # arms, answers; what readers see
# Images and the reading room by scope; of the documentation what readers do, since other pages show and say what
# generated images look like.
_OPEN_TO_READERS = re.compile(
    r"/|/health|/ready|/ohif(?:/.*)?|/proxy/dicom/.*|/reading-room(?:/.*)?"
    r"|/docs-site/how-to/reading\.html|/docs-site/assets/.*"
)
_TAKEN_OF_READERS = re.compile(r"/reading-room/studies/[^/]+/(?:sessions/[0-9]+|answers|show)")


def viewer_scope(identity: Identity) -> ViewerScope:
    """What the viewer shows somebody."""
    return READING if identity.role is Role.READER else EVERYTHING


def is_open_to_anybody(method: str, path: str) -> bool:
    """Whether a route is open to who has not signed in."""
    return method in ("GET", "HEAD") and path in _OPEN_TO_ANYBODY


def may_ask(identity: Identity, method: str, path: str) -> bool:
    """Whether a route is open to somebody.

    Args:
        identity: Who asks.
        method: Of the request, in capitals.
        path: Of the request, decoded.
    """
    if identity.role is Role.READER:
        open_to_them = _TAKEN_OF_READERS if method == "POST" else _OPEN_TO_READERS
        return method in ("GET", "HEAD", "POST") and open_to_them.fullmatch(path) is not None
    return identity.role is Role.OWNER or _CLOSED_TO_USERS.fullmatch(path) is None
