"""The reference of the command line, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mammosynth.cli import build_parser

_WIDTH = 100


def sections() -> str:
    """Every command with its options."""
    return "\n".join(line for found in commands(build_parser()) for line in (*_section(*found, level=2), ""))


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """The parser of every sub-command, with its summary."""
    for action in parser._actions:  # argparse has no other way to its sub-commands
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            yield from ((command, told.get(name, "")) for name, command in action.choices.items())


def is_shown(action: argparse.Action) -> bool:
    """Whether an option or argument is told of: no help, no sub-commands, nothing hidden."""
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden and action.help != argparse.SUPPRESS


def _section(parser: argparse.ArgumentParser, summary: str, level: int) -> list[str]:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)
    lines = [f"{'#' * level} {parser.prog}", "", parser.description or f"{summary[:1].upper()}{summary[1:]}.", ""]
    lines += ["```text", parser.format_usage().removeprefix("usage: ").strip(), "```"]
    for group in parser._action_groups:
        entries = [action for action in group._group_actions if is_shown(action)]
        if entries:
            lines += ["", f"*{group.title}*", "", "| | |", "|---|---|", *(_row(action) for action in entries)]
    for command, told in commands(parser):
        lines += ["", *_section(command, told, level + 1)]
    return lines


def _row(action: argparse.Action) -> str:
    formatter = argparse.HelpFormatter("", width=_WIDTH)
    name = formatter._format_action_invocation(action)
    told = formatter._expand_help(action) if action.help else ""
    return f"| `{_cell(name)}` | {_cell(told)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
