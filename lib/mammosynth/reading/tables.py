"""The tables of a store of reader studies, and the hash that chains their records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mammosynth.database import Layouts

LAYOUTS = Layouts(Path(__file__).parent / "migrations", version_table="reading_version")
BEGINNING = "0" * 64
"""What stands for the record before the first."""
OPENED, CLOSED = "opened", "closed"
SESSION_STARTED, WASHOUT_OVERRIDDEN = "session_started", "washout_overridden"
ANSWERED, SIMULATED = "answered", "simulated"
SHOWN = "shown"  # a reading, or nothing
BLINDED = "blinded"


class Base(DeclarativeBase):
    """What every table of the store is declared on."""


class StudyRow(Base):
    """A study that was opened: its protocol, frozen, and where its chain ends."""

    __tablename__ = "studies"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    protocol: Mapped[str] = mapped_column(Text)  # as `Protocol.canonical` gives it
    records: Mapped[int] = mapped_column(Integer, default=0)
    head: Mapped[str] = mapped_column(String(64), default=BEGINNING)


class ReadingRow(Base):
    """One reading of the design; written on opening, never changed."""

    __tablename__ = "readings"
    study: Mapped[int] = mapped_column(ForeignKey("studies.number"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(64), primary_key=True)
    session: Mapped[int] = mapped_column(Integer, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    case: Mapped[str] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(64))
    occasion: Mapped[int] = mapped_column(Integer)


class RecordRow(Base):
    """Something that happened: only ever added, each with the hash of the one before."""

    __tablename__ = "records"
    study: Mapped[int] = mapped_column(ForeignKey("studies.number"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(40))  # ISO 8601, UTC, by the clock of the server
    kind: Mapped[str] = mapped_column(String(32))
    reader: Mapped[str | None] = mapped_column(String(64))
    session: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int | None] = mapped_column(Integer)
    question: Mapped[str | None] = mapped_column(String(64))
    target: Mapped[str | None] = mapped_column(String(8))
    content: Mapped[str] = mapped_column(Text)  # JSON, see `canonical_json`
    previous: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    __table_args__ = (Index("by_reading", "study", "reader", "session", "position"),)

    @property
    def value(self) -> dict[str, Any]:
        """The content."""
        return json.loads(self.content)


class BlindingRow(Base):
    """What the copies of a study are made with; written once."""

    __tablename__ = "blindings"
    study: Mapped[int] = mapped_column(ForeignKey("studies.number"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(64))  # hexadecimal digits of 32 random bytes
    rule: Mapped[str] = mapped_column(Text)  # JSON


class CopyRow(Base):
    """One entry of the key: a blinded copy and what it is of."""

    __tablename__ = "copies"
    study: Mapped[int] = mapped_column(ForeignKey("studies.number"), primary_key=True)
    case: Mapped[str] = mapped_column(String(64), primary_key=True)
    arm: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # of the image, from 1
    source: Mapped[str] = mapped_column(Text)
    file: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    image_laterality: Mapped[str] = mapped_column(String(1))
    view_position: Mapped[str] = mapped_column(String(8))
    placement: Mapped[str] = mapped_column(Text)  # JSON


COPY_FIELDS = (
    "case", "arm", "number", "source", "file", "sha256", "image_laterality", "view_position", "placement",
)  # fmt: skip
RECORD_FIELDS = ("number", "at", "kind", "reader", "session", "position", "question", "target", "content", "previous")
"""What the hash of a record is over, after the name of its study."""


def record_sha256(study: str, record: Mapping[str, Any]) -> str:
    """The hash of a record: SHA-256 of a JSON list of the study's name and the fields.

    Args:
        study: Its name.
        record: At least `RECORD_FIELDS`.
    """
    return hashlib.sha256(canonical_json([study, *(record[name] for name in RECORD_FIELDS)]).encode()).hexdigest()


def key_sha256(blinding: Mapping[str, Any]) -> str:
    """The hash of secret, rule and key, as `StudyStore.content` gives them."""
    return hashlib.sha256(canonical_json(blinding).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON without spaces, keys sorted."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
