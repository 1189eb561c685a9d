"""`Catalogue`: the studies that are served, in order, kept up to date instance by instance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monailabel_app.pacs.instances import StoredInstance, json_text, tags_of

_MODALITY, _MODALITIES_IN_STUDY, _STUDY_SERIES, _STUDY_INSTANCES, _SERIES_INSTANCES = tags_of(
    "Modality",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
)


@dataclass(frozen=True, slots=True)
class Series:
    """A series with its instances by number.

    Attributes:
        uid: Series Instance UID.
        instances: At least one.
        counts: Elements about the whole series and its study, as JSON texts by tag.
    """

    uid: str
    instances: tuple[StoredInstance, ...]
    counts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Study:
    """A study with its series by number.

    Attributes:
        uid: Study Instance UID.
        instances: Of all series, in their order.
        series: In order.
        counts: Elements about the whole study, as JSON texts by tag.
    """

    uid: str
    instances: tuple[StoredInstance, ...]
    series: tuple[Series, ...]
    counts: Mapping[str, str]

    @property
    def order(self) -> tuple[str, str, str]:
        """By date and time, as the first instance says."""
        return (*self.instances[0].study_order, self.uid)


class Catalogue:
    """Instances by path, of which those with one SOP Instance UID are served once: the first by path.

    A change costs what its study costs: studies are put in order when they are asked for. Not safe for several threads.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, StoredInstance] = {}
        self._copies: dict[str, dict[str, StoredInstance]] = {}
        self._members: dict[str, dict[str, StoredInstance]] = {}
        self._studies: dict[str, Study] = {}
        self._in_order: list[Study] | None = None

    def put(self, instance: StoredInstance) -> None:
        """Take in an instance, in the place of what was at its path."""
        path = str(instance.path)
        self.drop(path)
        self._by_path[path] = instance
        copies = self._copies.setdefault(instance.sop_instance_uid, {})
        self._withdraw(copies)
        copies[path] = instance
        self._show(copies)

    def drop(self, path: str) -> None:
        """Forget what was at a path, if anything."""
        instance = self._by_path.pop(path, None)
        if instance is None:
            return
        copies = self._copies[instance.sop_instance_uid]
        self._withdraw(copies)
        del copies[path]
        if copies:
            self._show(copies)
        else:
            del self._copies[instance.sop_instance_uid]

    def instance(self, sop_instance_uid: str) -> StoredInstance | None:
        """The one that is served under this UID."""
        copies = self._copies.get(sop_instance_uid)
        return _first(copies) if copies else None

    def study(self, uid: str) -> Study | None:
        """The study with this UID, if there is one."""
        if uid not in self._studies and uid in self._members:
            self._studies[uid] = _study(uid, self._members[uid].values())
        return self._studies.get(uid)

    def studies(self) -> list[Study]:
        """All of them in order."""
        if self._in_order is None:
            found = [study for uid in self._members if (study := self.study(uid))]
            self._in_order = sorted(found, key=lambda study: study.order)
        return self._in_order

    def _show(self, copies: dict[str, StoredInstance]) -> None:
        shown = _first(copies)
        self._members.setdefault(shown.study_instance_uid, {})[shown.sop_instance_uid] = shown
        self._changed(shown.study_instance_uid)

    def _withdraw(self, copies: dict[str, StoredInstance]) -> None:
        if not copies:
            return
        shown = _first(copies)
        members = self._members[shown.study_instance_uid]
        del members[shown.sop_instance_uid]
        if not members:
            del self._members[shown.study_instance_uid]
        self._changed(shown.study_instance_uid)

    def _changed(self, study_instance_uid: str) -> None:
        self._studies.pop(study_instance_uid, None)
        self._in_order = None


def _first(copies: dict[str, StoredInstance]) -> StoredInstance:
    return copies[min(copies)]


def _study(uid: str, members: Iterable[StoredInstance]) -> Study:
    instances = tuple(sorted(members, key=_order))
    by_series: dict[str, list[StoredInstance]] = {}
    for instance in instances:
        by_series.setdefault(instance.series_instance_uid, []).append(instance)
    counts = {
        _MODALITIES_IN_STUDY: json_text({"vr": "CS", "Value": _modalities(instances)}),
        _STUDY_SERIES: _count(len(by_series)),
        _STUDY_INSTANCES: _count(len(instances)),
    }
    series = [
        Series(series_uid, tuple(its), counts | {_SERIES_INSTANCES: _count(len(its))})
        for series_uid, its in by_series.items()
    ]
    return Study(uid, instances, tuple(series), counts)


def _modalities(instances: Iterable[StoredInstance]) -> list[str]:
    texts = {instance.listed[_MODALITY] for instance in instances if _MODALITY in instance.listed}
    return sorted({value for text in texts for value in json.loads(text).get("Value", []) if value})


def _count(number: int) -> str:
    return json_text({"vr": "IS", "Value": [number]})


def _order(instance: StoredInstance) -> tuple[int, str, int, str]:
    series_number, instance_number = instance.order
    return series_number, instance.series_instance_uid, instance_number, instance.sop_instance_uid
