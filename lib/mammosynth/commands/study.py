"""`mammosynth study`: a reader study from protocol to report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammosynth.commands.options import named_texts, write_report
from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError, OutputError, ProtocolError
from mammosynth.progress import counted

if TYPE_CHECKING:
    from mammosynth.reading.store import StudyStore

TEMPLATES = ("cem-s3", "realism", "bpe-agreement", "lesion-marks")
_STORE = "mammosynth-data/studies.sqlite"
_COPIES = "mammosynth-data/blinded"
_OWNER = "owner"


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "study",
        help="a blinded reader study, from protocol to report",
        description="Radiologists read images of several kinds and answer questions; who reads what when follows from "
        "one protocol, and what they answered is never changed. docs/how-to/reader-study.md is a tutorial.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_protocol_actions(actions)
    _add_store_actions(actions)
    _add_results(actions)


def _add_protocol_actions(actions: Any) -> None:
    new = actions.add_parser("new", help="write a protocol to begin with")
    new.add_argument("--template", choices=TEMPLATES, default=TEMPLATES[0], help="(default: %(default)s)")
    new.add_argument("--name", help="of the study")
    new.add_argument("--readers", type=lambda text: text.split(","), default=[], metavar="NAME,NAME,...")
    new.add_argument("--seed", type=int, help="of the design")
    new.add_argument("--cases", type=Path, metavar="CSV", help="the cases, in place of the template's placeholders")
    new.add_argument("--output", type=Path, metavar="FILE", help="(default: NAME.yaml)")
    new.set_defaults(run=_new)
    check = actions.add_parser("check", help="is a protocol right, and what does it come to?")
    check.add_argument("protocol", type=Path, nargs="?", metavar="PROTOCOL")
    check.add_argument("--schema", action="store_true", help="print the JSON Schema of protocols instead")
    check.set_defaults(run=_check)
    power = actions.add_parser("power", help="does the sample find what it shall find?")
    power.add_argument("protocol", type=Path, metavar="PROTOCOL")
    power.set_defaults(run=_power)
    for action in (check, power):
        action.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON, too")


def _add_store_actions(actions: Any) -> None:
    opened = actions.add_parser("open", help="freeze a protocol, and begin to take answers")
    opened.add_argument("protocol", type=Path, metavar="PROTOCOL")
    opened.set_defaults(run=_open)
    status = actions.add_parser("status", help="how far each reader is; nothing about answers")
    status.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON, too")
    status.set_defaults(run=_status)
    override = actions.add_parser("override", help="let a reader begin a session before the wash-out is over")
    override.add_argument("--reader", required=True)
    override.add_argument("--session", required=True, type=int)
    override.set_defaults(run=_override)
    close = actions.add_parser("close", help="take no more answers, for good")
    close.set_defaults(run=_close)
    verify = actions.add_parser("verify", help="was any row changed, removed or reordered?")
    verify.add_argument("--head", metavar="HASH", help="noted before, from `status`: it must still be there")
    verify.add_argument("--backup", type=Path, metavar="FILE", help="look at a backup instead of the store")
    verify.set_defaults(run=_verify)
    backup = actions.add_parser("backup", help="write everything of a study into one file")
    backup.add_argument("--output", type=Path, metavar="FILE", help="(default: STUDY.backup.json)")
    backup.set_defaults(run=_backup)
    restore = actions.add_parser("restore", help="put a study from a backup into a store, of any kind")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.set_defaults(run=_restore)
    simulate = actions.add_parser("simulate", help="let simulated readers read a study that was just opened")
    simulate.add_argument(
        "--skill", action="append", default=[], metavar="ARM=AUC", help="in that arm, 0.5 to 0.999; once for each arm"
    )
    simulate.add_argument("--tell", type=float, default=0.6, metavar="AUC", help="generated from real (default: 0.6)")
    simulate.add_argument("--seed", type=int, default=0, help="of the readers (default: 0)")
    simulate.set_defaults(run=_simulate)
    blind = actions.add_parser("blind", help="make the copies that readers see, alike in everything but the anatomy")
    blind.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="with the files of the protocol")
    blind.set_defaults(run=_blind)
    attack = actions.add_parser("attack", help="does anything but the anatomy tell the copies of two arms apart?")
    attack.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON, too")
    attack.set_defaults(run=_attack)
    for action in (blind, attack):
        action.add_argument(
            "--copies", type=Path, default=Path(_COPIES), metavar="FOLDER", help="(default: %(default)s, as the server)"
        )
    for action in (override, close):
        action.add_argument("--reason", default="", help="which is kept")
    for action in (opened, override, close, simulate):
        action.add_argument("--by", default=_OWNER, metavar="NAME", help="who does it (default: %(default)s)")
    for action in (status, override, close, backup, simulate, blind, attack):
        action.add_argument("study", metavar="STUDY")
    verify.add_argument("study", nargs="?", metavar="STUDY")
    for action in (opened, status, override, close, verify, backup, restore, simulate, blind, attack):
        _add_store(action)


def _add_results(actions: Any) -> None:
    mrmc = actions.add_parser("mrmc", add_help=False, help="many readers, many cases: of any table of ratings")
    mrmc.add_argument("arguments", nargs=argparse.REMAINDER)
    mrmc.set_defaults(run=_mrmc)
    analyse = actions.add_parser("analyse", help="every endpoint of a closed study, as a report")
    export = actions.add_parser("export", help="the answers of a closed study as tables")
    export.add_argument(
        "--sr", action="store_true", help="as DICOM Structured Reports (TID 1500) instead, with --images"
    )
    export.add_argument("--images", type=Path, metavar="FOLDER", help="with the files of the protocol, in DICOM")
    for action, run in ((analyse, _analyse), (export, _export)):
        action.add_argument("study", metavar="STUDY")
        action.add_argument("--output", type=Path, metavar="DIR", help="(default: STUDY-results)")
        action.set_defaults(run=run)
        _add_store(action)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        default=_STORE,
        metavar="PLACE",
        help="a SQLite file, or postgresql://USER:PASSWORD@HOST/NAME (default: %(default)s, which the server uses)",
    )


@contextmanager
def _store(place: str, *, must_exist: bool = True) -> Iterator[StudyStore]:
    from mammosynth.database import place_of
    from mammosynth.reading.store import StudyStore

    known = place_of(place)
    if must_exist and isinstance(known, Path) and not known.is_file():
        raise InvalidParameterError(f"--store {place}: there is no such file; open a study first, or name its store")
    store = StudyStore(known)
    try:
        yield store
    finally:
        store.close()


def _new(args: argparse.Namespace) -> int:
    from mammosynth.atomic import write_bytes
    from mammosynth.reading.new_protocol import new_protocol

    text = new_protocol(args.template, name=args.name, readers=args.readers, seed=args.seed, cases=args.cases)
    file = args.output or Path(f"{args.name or args.template}.yaml")
    if file.exists():
        raise OutputError(f"{file.name} is there already, and is never replaced; choose another --output")
    write_bytes(file, text.encode())
    print(f"Wrote {file}. Next: mammosynth study check {file}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from mammosynth.reading.protocol import Protocol, read_protocol
    from mammosynth.reading.summary import describe

    if args.schema:
        print(json.dumps(Protocol.model_json_schema(), indent=2))
        return 0
    if args.protocol is None:
        raise ProtocolError("no protocol was named; give its file, or --schema")
    found = describe(read_protocol(args.protocol))
    print(f"{found['study']}: {found['title']}")
    print(
        f"{count_of(found['cases'], 'case')} of {count_of(found['patients'], 'patient')}, "
        f"{found['training_cases']} for training"
    )
    print(f"{count_of(found['readers'], 'reader')}, {count_of(found['readings'], 'reading')}")
    print(f"at most {count_of(found['most_readings_in_a_session'], 'reading')} in a session of one reader")
    for session, arms in found["readings_by_session_and_arm"].items():
        name = "training" if session == "0" else f"session {session}"
        print(f"  {name}: " + ", ".join(f"{count} {arm}" for arm, count in arms.items()))
    print(f"protocol sha256 {found['protocol_sha256']}")
    write_report(args.json, found)
    return 0


def _power(args: argparse.Namespace) -> int:
    from mammosynth.reading.protocol import read_protocol
    from mammosynth.reading.summary import power_of

    found = power_of(read_protocol(args.protocol))
    margin = "" if found["margin"] is None else f" within a margin of {found['margin']:g}"
    chance = "unknown for one reader" if found["power"] is None else f"{found['power']:.3f}"
    print(
        f"Difference {found['effect']:g}{margin}, {count_of(found['readers'], 'reader')}, "
        f"{count_of(found['cases'], 'case')}: power {chance}"
    )
    print(f"Cases for a power of {found['goal']:g}:")
    for readers, cases in found["cases_needed_by_readers"].items():
        print(f"  {readers} readers: {'no number of cases is enough' if cases is None else cases}")
    print(f"Components: {found['source']}")
    write_report(args.json, found)
    return 0


def _open(args: argparse.Namespace) -> int:
    from mammosynth.reading.protocol import read_protocol
    from mammosynth.reading.summary import power_of

    protocol = read_protocol(args.protocol)
    with _store(args.store, must_exist=False) as store:
        receipt = store.open_study(protocol, args.by, power_of(protocol) if protocol.power else None)
    print(f"{protocol.name} is open, and its protocol is frozen: sha256 {protocol.sha256}")
    print(f"record {receipt.number} {receipt.sha256}")
    return 0


def _status(args: argparse.Namespace) -> int:
    with _store(args.store) as store:
        found = store.status(args.study)
    simulated = ", SIMULATED READERS" if found["is_simulated"] else ""
    print(f"{found['study']}: {found['state']}{simulated}, {found['done']} of {count_of(found['readings'], 'reading')}")
    for reader in found["readers"]:
        sessions = ", ".join(f"{each['done']}/{each['readings']}" for each in reader["sessions"])
        print(f"  {reader['reader']}: {sessions}; last {reader['last_activity'] or 'never'}")
    print(f"record {found['records']} {found['head']}")
    write_report(args.json, found)
    return 0


def _override(args: argparse.Namespace) -> int:
    with _store(args.store) as store:
        store.override_washout(args.study, args.reader, args.session, by=args.by, reason=args.reason)
    print(f"{args.reader} may begin session {args.session}.")
    return 0


def _blind(args: argparse.Namespace) -> int:
    from mammosynth.reading.blinding.copies import blind
    from mammosynth.reading.blinding.sources import image_folder

    read = image_folder(args.images)
    with _store(args.store) as store, counted(args.study, "copy") as progress:
        count = blind(store, args.study, args.copies, read, progress)
        rule = json.loads((store.blinding(args.study) or {})["rule"])
    print(
        f"{count_of(count, 'blinded copy', 'blinded copies')} of {rule['rows']} x {rule['columns']} pixels, detail "
        f"{rule['detail']:.3f} a pixel"
    )
    print(f"Next: mammosynth study attack {args.study}")
    return 0


def _attack(args: argparse.Namespace) -> int:
    from mammosynth.reading.blinding.attack import attack_study
    from mammosynth.reading.blinding.copies import BlindedCopies

    with _store(args.store) as store:
        protocol = store.study(args.study).protocol
        found = attack_study(BlindedCopies(store, args.study, args.copies), protocol)
    for each in found:
        value, low, high = each.classifier
        print(
            f"{' and '.join(each.arms)}: {each.copies[0]} and {each.copies[1]} copies, {count_of(each.scores, 'score')}"
        )
        print(f"  classifier: AUC {value:.2f} ({low:.2f} to {high:.2f})")
        for leak in each.leaks:
            print(f"  TOLD APART by {leak}")
    write_report(args.json, {"attacks": [each.as_json() for each in found]})
    return 1 if any(each.leaks for each in found) else 0


def _close(args: argparse.Namespace) -> int:
    with _store(args.store) as store:
        receipt = store.close_study(args.study, by=args.by, reason=args.reason)
    print(f"{args.study} is closed.\nrecord {receipt.number} {receipt.sha256}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from mammosynth.reading.backup import read_backup
    from mammosynth.reading.verify import problems_of

    if (args.study is None) == (args.backup is None):
        raise InvalidParameterError("name a study of the store, or a --backup")
    if args.backup:
        content = read_backup(args.backup)
    else:
        with _store(args.store) as store:
            content = store.content(args.study)
    found = problems_of(content, args.head)
    if found:
        sys.stderr.write("\n  ".join(["Not as it was:", *found]) + "\n")
        return 1
    print(
        f"{count_of(len(content['records']), 'record')} and {count_of(len(content['readings']), 'reading')} are as "
        "they were."
    )
    print(f"record {content['study']['records']} {content['study']['head']}")
    return 0


def _backup(args: argparse.Namespace) -> int:
    from mammosynth.reading.backup import write_backup

    file = args.output or Path(f"{args.study}.backup.json")
    with _store(args.store) as store:
        count = write_backup(store, args.study, file)
    print(f"Wrote {file}: {count_of(count, 'record')}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from mammosynth.reading.backup import restore_backup

    with _store(args.store, must_exist=False) as store:
        name = restore_backup(store, args.file)
    print(f"{name} is in {args.store.rpartition('@')[2]}.")
    return 0


def _simulate(args: argparse.Namespace) -> int:
    from mammosynth.reading.simulate import Skill, simulate

    skill = Skill(_areas(args.skill), args.tell, args.seed)
    with _store(args.store) as store, counted(args.study, "reading") as progress:
        count = simulate(store, args.study, skill, args.by, progress)
    print(f"{count_of(count, 'reading')} by simulated readers. Next: mammosynth study close {args.study}")
    return 0


def _areas(texts: list[str]) -> dict[str, float]:
    try:
        return {arm: float(area) for arm, area in named_texts(texts, "--skill").items()}
    except ValueError as error:
        raise InvalidParameterError(f"--skill: {error}; expected ARM=AUC") from None


def _analyse(args: argparse.Namespace) -> int:
    from mammosynth.reading.analysis.closed_study import ClosedStudy
    from mammosynth.reading.report.write import write_results

    folder = args.output or Path(f"{args.study}-results")
    with _store(args.store) as store, counted(args.study, "endpoint") as progress:
        found = write_results(ClosedStudy.of(store.content(args.study)), folder, progress)
    for line in found:
        print(line)
    print(f"Wrote {folder}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from mammosynth.reading.analysis.closed_study import ClosedStudy
    from mammosynth.reading.export import write_tables

    folder = args.output or Path(f"{args.study}-results")
    if args.sr:
        return _export_structured_reports(args, folder)
    with _store(args.store) as store:
        written = write_tables(ClosedStudy.of(store.content(args.study)), folder)
    print(f"Wrote {', '.join(written)} to {folder}")
    return 0


def _export_structured_reports(args: argparse.Namespace, folder: Path) -> int:
    from mammosynth.reading.analysis.closed_study import ClosedStudy
    from mammosynth.reading.blinding.sources import image_folder
    from mammosynth.reading.export import write_structured_reports

    if args.images is None:
        raise InvalidParameterError(
            "--sr needs --images FOLDER: a Structured Report refers to its images by their UIDs"
        )
    with _store(args.store) as store, counted(args.study, "report") as progress:
        study = ClosedStudy.of(store.content(args.study))
        count = write_structured_reports(study, folder, image_folder(args.images), progress)
    print(f"Wrote {count_of(count, 'Structured Report')} to {folder}")
    return 0


def _mrmc(args: argparse.Namespace) -> int:
    from mammosynth.reading import mrmc  # it takes seconds to load, so that its options are declared here

    parser = argparse.ArgumentParser(prog="mammosynth study mrmc", description=mrmc.DESCRIPTION)
    mrmc.add_arguments(parser)
    return mrmc.run(parser.parse_args(args.arguments))
