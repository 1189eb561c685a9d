"""What is promised to stay as it is: each interface as lines of text, read from the code, and the record of them.

    python -m docs.building.interfaces                      # write what is new into the record
    python -m docs.building.interfaces --because REASON     # the same where something is gone or changed

The record (`tests/interfaces/`, a file an interface, a line a promise) is compared with the code by a test. What goes
from it is a break, which needs a reason; the reason is written into the changelog.
"""

from __future__ import annotations

import argparse
import ast
import csv
import dataclasses
import importlib
import inspect
import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel
from pydicom.dataset import Dataset

from docs.building import command_line, rest, tables
from mammosynth import bundle
from mammosynth.atomic import write_bytes
from mammosynth.counts import count_of
from mammosynth.dicom import placement
from mammosynth.dicom.attributes import SYNTHETIC_DATA
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.provenance import Provenance
from mammosynth.reading import mrmc
from mammosynth.reading.analysis.analyse import analyse_study
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.export import write_tables
from mammosynth.reading.new_protocol import new_protocol
from mammosynth.reading.protocol import Protocol, parse_protocol
from mammosynth.reading.simulate import Skill, simulate
from mammosynth.reading.store import StudyStore
from mammosynth.task import task_named
from mammosynth.terms import ImageLaterality, ViewPosition

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "interfaces"
CHANGELOG = ROOT / "CHANGELOG.md"
_UNRELEASED = re.compile(r"^## .*\(unreleased\)\n", re.MULTILINE)
_HEADING = "### Broken interfaces\n"
_IMPORT = re.compile(r"^\s*\"?from (mammosynth[\w.]*) import ([\w, ]+)", re.MULTILINE)
_QUOTED = re.compile(r"(: |-> )'([^']*)'")  # annotations as text
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TEMPLATES = ("cem-s3", "lesion-marks", "realism")  # all statistics together


def differences(recorded: Collection[str], found: Collection[str]) -> tuple[list[str], list[str]]:
    """What is gone from an interface, or has changed, and what is new in it."""
    return [line for line in recorded if line not in found], [line for line in found if line not in recorded]


def recorded(name: str, folder: Path = RECORD) -> list[str]:
    """The record of an interface; empty if there is none."""
    file = folder / f"{name}.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def record(
    interfaces: Mapping[str, list[str]], because: str, folder: Path = RECORD, changelog: Path = CHANGELOG
) -> list[str]:
    """Write the record anew; what is gone only with a reason, which goes into the changelog.

    Args:
        interfaces: Lines, by name.
        because: Why something is gone or has changed; "" if nothing is.
        folder: Of the record.
        changelog: Has a heading that ends with `(unreleased)`.

    Returns:
        What is gone and not written, since there is no reason.
    """
    gone = {name: differences(recorded(name, folder), lines)[0] for name, lines in interfaces.items()}
    broken = {name: lines for name, lines in gone.items() if lines}
    if broken and not because:
        return [f"{name}: {line}" for name, lines in broken.items() for line in lines]
    for name, lines in interfaces.items():
        write_bytes(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines).encode())
    if broken:
        told = ", ".join(f"{name} ({count_of(len(lines), 'line')})" for name, lines in broken.items())
        write_bytes(changelog, _with_break(changelog.read_text(encoding="utf-8"), f"- {told}: {because}\n").encode())
    return []


def _with_break(text: str, entry: str) -> str:
    begin = _UNRELEASED.search(text)
    if begin is None:
        raise ValueError("the changelog has no heading that ends with (unreleased); add one")
    following = text.find("\n## ", begin.end())
    end = following if following >= 0 else len(text)
    unreleased = text[begin.end() : end]
    if _HEADING in unreleased:
        unreleased = unreleased.replace(_HEADING + "\n", f"{_HEADING}\n{entry}")
    else:
        unreleased = f"\n{_HEADING}\n{entry}{unreleased}"
    return text[: begin.end()] + unreleased + text[end:]


def _command_line() -> Iterator[str]:
    parser = command_line.build_parser()
    for command, _ in command_line.commands(parser):
        yield from _of_command(command)
    own = argparse.ArgumentParser(prog="mammosynth study mrmc")  # its options are declared where they are used
    mrmc.add_arguments(own)
    yield from list(_of_command(own))[1:]


def _of_command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield parser.prog
    for action in parser._actions:
        if command_line.is_shown(action):
            name = "|".join(action.option_strings) or action.dest
            told = {
                "takes": action.nargs,
                "of": sorted(map(str, action.choices)) if action.choices else None,
                "default": None if action.default in ([], argparse.SUPPRESS) else action.default,
                "required": (action.required and bool(action.option_strings)) or None,
            }
            settings = [f"{key}={_plain(value)}" for key, value in told.items() if value is not None]
            yield " ".join([parser.prog, name, *settings])
    for command, _ in command_line.commands(parser):
        yield from _of_command(command)


def _routes() -> Iterator[str]:
    schema = rest.api_schema()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            yield route
            for entry in operation.get("parameters", []):
                told = _of_schema(entry["schema"], schema, entry.get("required"))
                yield f"{route} {entry['in']} {entry['name']}{told}"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                body = rest.resolved(content["schema"], schema)
                for name, entry in body.get("properties", {}).items():
                    told = _of_schema(entry, schema, name in body.get("required", []))
                    yield f"{route} {kind} {name}{told}"


def _of_schema(entry: dict[str, Any], schema: dict[str, Any], required: bool | None) -> str:
    bare = {key: value for key, value in rest.resolved(entry, schema).items() if key != "description"}
    return f": {rest.kind_of(bare, schema).partition(': ')[0]}{', required' if required else ''}"


def _entry_points() -> Iterator[str]:
    """Groups that other packages add to, and what each of ours is called."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for script in project["scripts"]:
        yield f"script {script}"
    for group, points in project["entry-points"].items():
        yield from (f"{group} {name}" for name in sorted(points))
    yield from (f"extra {name}" for name in sorted(project["optional-dependencies"]) if name not in ("dev", "docs"))


def _protocol() -> Iterator[str]:
    """Every setting of a study's YAML."""
    schema = Protocol.model_json_schema()
    for name, definition in [("Protocol", schema), *schema["$defs"].items()]:
        for key, entry in definition.get("properties", {}).items():
            required = ", required" if key in definition.get("required", []) else ""
            yield f"{name}.{key}: {_of_json_schema(entry)}{required}"
        if "enum" in definition:
            yield f"{name}: {_plain(definition['enum'])}"


def _of_json_schema(entry: Mapping[str, Any]) -> str:
    meant = {key: value for key, value in entry.items() if key not in ("title", "description")}
    return json.dumps(meant, sort_keys=True, ensure_ascii=False).replace("#/$defs/", "")


def _bundles() -> Iterator[str]:
    """Files of a bundle, packages whose classes it may name, and keys of metadata.json that are read or written."""
    yield from (f"file {file.as_posix()}" for file in (bundle.METADATA, bundle.INFERENCE, bundle.TRAIN, bundle.WEIGHTS))
    yield from (f"may name {package}" for package in bundle.TARGETS)
    released = bundle.read_config(bundle.default_bundle("contrast"), bundle.METADATA)
    keys = {f"metadata {name}" for name in ("mammosynth", "version", "description")}
    keys |= {f"metadata mammosynth.{name}" for name in released["mammosynth"]}
    for node in ast.walk(ast.parse(inspect.getsource(bundle))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            owner, key = node.func.value, node.args[0]
            if isinstance(owner, ast.Name) and owner.id == "ours" and isinstance(key, ast.Constant):
                keys.add(f"metadata mammosynth.{key.value}")
    yield from sorted(keys)


def _dicom() -> Iterator[str]:
    """Attributes of a result, what is kept of its source, and the provenance that it holds."""
    header, result = tables.example()
    yield from dict.fromkeys(_attributes(result, header, ""))
    for where, keywords in placement._KEPT.items():
        yield from (f"kept {where} {keyword}" for keyword in keywords)
    yield from (f"provenance {field.name}" for field in dataclasses.fields(Provenance))


def _attributes(dataset: Dataset, header: Dataset, within: str) -> Iterator[str]:
    for element in dataset:
        name = f"{within}({element.tag.group:04X},{element.tag.element:04X})"
        is_own = header.get(element.keyword) != element.value
        is_code = element.VR == "CS" and is_own and not within and element.value
        value = " " + "\\".join([element.value] if element.VM == 1 else element.value) if is_code else ""
        keyword = "SyntheticData" if element.tag == SYNTHETIC_DATA else element.keyword or element.name.strip("[]")
        yield f"{name} {element.VR} {keyword}{value}"
        if element.VR == "SQ":
            for item in element.value:
                yield from _attributes(item, Dataset(), f"{name}>")


def _files() -> Iterator[str]:
    """Keys and columns of what programs parse: a folder of phantoms, results of a reader study."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield from _of_phantoms(folder / "clinic")
        yield from _of_data_set(folder / "set")
        found: dict[str, None] = {}
        for template in _TEMPLATES:
            found.update(dict.fromkeys(_of_study(folder / template, template)))
        yield from sorted(found)


def _of_phantoms(folder: Path) -> Iterator[str]:
    parameters = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=4.0)
    write_cohort(folder, CohortSettings(parameters), [25], engine=LocalEngine(1))
    yield from _names("phantoms", folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    yield from dict.fromkeys(f"phantoms manifest.json {path}" for path in _paths(manifest, ()))


def _of_data_set(folder: Path) -> Iterator[str]:
    specification = folder.with_suffix(".json")
    specification.write_text(json.dumps({"shape": [256, 200], "seed": 5}), encoding="utf-8")
    write = task_named("mask").load("bulk")
    write(folder, 1, specification, bundle=bundle.default_bundle("mask"), engine=LocalEngine(1))
    yield from _names("data set", folder)
    yield from _columns("data set cases.csv", folder / "cases.csv")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    yield from dict.fromkeys(f"data set manifest.json {path}" for path in _paths(manifest, ()))


def _names(kind: str, folder: Path) -> Iterator[str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    yield from (f"{kind} {file.relative_to(folder).as_posix()}" for file in files)


def _columns(name: str, file: Path) -> Iterator[str]:
    with file.open(newline="", encoding="utf-8") as lines:
        yield from (f"{name} column {column}" for column in next(csv.reader(lines)))


def _of_study(folder: Path, template: str) -> Iterator[str]:
    """Of the results of simulated readers; an endpoint is called by its statistic."""
    text = re.sub(r"(?m)^bootstrap_samples:.*\n", "", new_protocol(template))
    protocol = parse_protocol(f"{text}\nbootstrap_samples: 100\n")
    folder.mkdir()
    store = StudyStore(folder / "s.sqlite")
    store.open_study(protocol, "owner")
    simulate(store, protocol.name, Skill(dict.fromkeys(protocol.arms, 0.9)), "owner", lambda *_: None)
    store.close_study(protocol.name, by="owner")
    study = ClosedStudy.of(store.content(protocol.name))
    store.close()
    results = analyse_study(study)
    named = {**results, "endpoints": {each["statistic"]: each for each in results["endpoints"].values()}}
    names = {*protocol.arms, *protocol.readers, *results["tests"]}
    yield from (f"study results.json {path}" for path in _paths(named, names))
    for file in write_tables(study, folder):
        kind = re.sub(r"^\w+(?=\.(ratings|imrmc))", "QUESTION", file)
        yield f"study {kind}"
        if file.endswith(".csv"):
            yield from _columns(f"study {kind}", folder / file)


def _paths(value: Any, names: Collection[str], path: str = "") -> Iterator[str]:
    """Where values are in JSON; keys that are numbers, or names of somebody's, are *."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _paths(
                each, names, f"{path}.{'*' if key in names or _NUMBER.fullmatch(key) else key}".lstrip(".")
            )
    elif isinstance(value, list) and value:
        for each in value:
            yield from _paths(each, names, f"{path}[]")
    else:
        yield path


def _python() -> Iterator[str]:
    """What README, site and notebooks import, with what these return: signatures, fields, public methods."""
    named: dict[tuple[str, str], None] = {}
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").rglob("*.ipynb"))]
    for page in pages:
        for module, names in _IMPORT.findall(page.read_text(encoding="utf-8")):
            named.update({(module, name.strip()): None for name in names.split(",") if name.strip()})
    todo = [(module, name, getattr(importlib.import_module(module), name)) for module, name in sorted(named)]
    seen: set[Any] = set()
    found: list[str] = []
    while todo:
        module, name, thing = todo.pop(0)
        if not isinstance(thing, type) and not callable(thing):
            found.append(f"{module}.{name}")
            continue
        if thing in seen:
            continue
        seen.add(thing)
        found += _of_thing(f"{module}.{name}", thing)
        todo += [(each.__module__, each.__name__, each) for each in _returned(thing)]
    yield from sorted(found)


def _of_thing(name: str, thing: Any) -> Iterator[str]:
    if not isinstance(thing, type):
        yield f"{name}{_signature(thing)}"
    elif issubclass(thing, Enum):
        yield f"{name}: {', '.join(member.name for member in thing)}"
    else:
        has_own = thing.__init__ is not object.__init__ and not issubclass(thing, BaseModel)
        yield f"{name}{_signature(thing) if has_own else ''}"
        for key, value in vars(thing).items():
            method = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if not key.startswith("_") and inspect.isfunction(method):
                yield f"{name}.{key}{_signature(method)}"
            elif not key.startswith("_") and isinstance(value, property):
                yield f"{name}.{key}"


def _signature(thing: Any) -> str:
    try:
        return re.sub(r" at 0x\w+", "", _QUOTED.sub(r"\1\2", str(inspect.signature(thing))))
    except (TypeError, ValueError):
        return ""


def _returned(thing: Any) -> Iterator[type]:
    """Classes of ours that a function, or a method of a class, returns."""
    own = vars(thing).items() if isinstance(thing, type) else [("", thing)]
    for method in (each for key, each in own if not key.startswith("_")):
        function = method.__func__ if isinstance(method, classmethod | staticmethod) else method
        if inspect.isfunction(function):
            kind = get_type_hints(function).get("return")
            if isinstance(kind, type) and kind.__module__.startswith("mammosynth"):
                yield kind


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


INTERFACES: dict[str, Callable[[], Iterator[str]]] = {
    "command-line": _command_line,
    "rest": _routes,
    "entry-points": _entry_points,
    "study-protocol": _protocol,
    "bundles": _bundles,
    "dicom": _dicom,
    "files": _files,
    "python": _python,
}
"""By the name of their record: what reads them from the code."""


def main() -> int:
    """Record every interface."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--because", default="", metavar="REASON", help="why something is gone or has changed")
    unsaid = record({name: list(read()) for name, read in INTERFACES.items()}, parser.parse_args().because)
    if unsaid:
        sys.stderr.write("\n  ".join(["Gone or changed; say why with --because, or put it back:", *unsaid]) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
