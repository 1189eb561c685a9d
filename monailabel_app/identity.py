"""`Identity`: who asks. Whatever treats people differently, or writes down what they did, speaks of this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is to this server."""

    OWNER = "owner"  # runs it
    USER = "user"  # works with it: sees every study, synthesizes, draws
    READER = "reader"  # takes part in a reader study: sees the case that is being read, and nothing else


@dataclass(frozen=True)
class Identity:
    """A person, or a program that acts for one.

    Attributes:
        name: Goes into the audit log and, as author, into segmentations.
        role: What they may see and do, see `gateway.scope`.
    """

    name: str
    role: Role


LOCAL = Identity("local", Role.OWNER)
"""Whoever uses a server that asks for no tokens: it listens on this machine only."""

SCOPE_KEY = "mammosynth.identity"
"""Where the guard puts the identity in the scope of a request; see `gateway.guard.identity_of`."""
