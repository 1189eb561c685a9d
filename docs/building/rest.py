"""The reference of the server's interface, from the routes themselves, as `/openapi.json` tells them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from monailabel_app.gateway.app import create_gateway

_GROUPS = {
    "synthesis": "Jobs",
    "studies": "Studies of the archive",
    "preview": "Previews",
    "proxy": "DICOMweb",
    "reading-room": "Reading room (readers)",
    "reading": "Reader studies (owners)",
    "health": "Operation",
    "ready": "Operation",
    "metrics": "Operation",
}
_OTHERS = "MONAI Label's clients"


def sections() -> str:
    """Every route with what it takes."""
    schema = api_schema()
    groups: dict[str, list[str]] = dict.fromkeys([*_GROUPS.values(), _OTHERS], [])
    for path, methods in schema["paths"].items():
        if path.endswith("/") and path[:-1] in schema["paths"]:
            continue  # the same with and without a slash
        title = _GROUPS.get(path.split("/")[1], _OTHERS)
        for method, operation in methods.items():
            groups[title] = [*groups[title], *_operation(method.upper(), path, operation, schema)]
    return "\n\n".join("\n".join([f"## {title}", *entries]) for title, entries in groups.items())


def api_schema() -> dict[str, Any]:
    """What `/openapi.json` of a server says."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = create_gateway("http://127.0.0.1:1/dicom-web", None, Path(folder))  # asks for nothing yet
        return gateway.openapi()


def kind_of(entry: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a value is, in words: its type or its choices, and what is told of it."""
    entry = resolved(entry, schema)
    choices = [choice for choice in entry.get("anyOf", []) if choice.get("type") != "null"]
    if choices:
        return " or ".join(kind_of(choice, schema) for choice in choices)
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    kind = "file" if entry.get("contentMediaType") or entry.get("format") == "binary" else entry.get("type", "any")
    if kind == "array":
        kind = f"list of {kind_of(entry.get('items', {}), schema)}"
    told = " ".join(entry.get("description", "").split()).replace("|", "\\|")
    return f"{kind}: {told}" if told else kind


def resolved(entry: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What an entry of the schema refers to; itself if it refers to nothing."""
    if "$ref" in entry:
        return schema["components"]["schemas"][entry["$ref"].rpartition("/")[2]]
    return entry


def _operation(method: str, path: str, operation: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    lines = ["", f"### `{method} {path}`", "", operation.get("description", operation.get("summary", ""))]
    rows = [_row(entry["name"], entry["in"], entry["schema"], entry.get("required", False), schema)
            for entry in operation.get("parameters", [])]  # fmt: skip
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        body = resolved(content["schema"], schema)
        required = body.get("required", [])
        if "properties" not in body:
            rows.append(f"| | body, {kind} | {kind_of(body, schema)} | |")
        rows += [_row(name, f"body, {kind}", entry, name in required, schema)
                 for name, entry in body.get("properties", {}).items()]  # fmt: skip
    return [*lines, "", "| name | in | what | |", "|---|---|---|---|", *rows] if rows else lines


def _row(name: str, place: str, entry: dict[str, Any], required: bool, schema: dict[str, Any]) -> str:
    default = f"default `{entry['default']}`" if entry.get("default") not in (None, "") else ""
    return f"| `{name}` | {place} | {kind_of(entry, schema)} | {'required' if required else default} |"
