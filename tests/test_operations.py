"""What operates the server outside of it: the container's steps and the unit of systemd."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from mammosynth.cli import build_parser
from tests.support.postgresql import empty_database

ROOT = Path(__file__).parents[1]
_UNIT = ROOT / "docs/mammosynth.service"


def _joined(text: str) -> list[str]:
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def test_the_container_is_built_by_the_steps_of_ci() -> None:
    lines = _joined((ROOT / "Containerfile").read_text())
    made = [line.removeprefix("RUN ") for line in lines if line.startswith("RUN make")]
    assert made == ["make .venv/.ready"]
    steps = [line.split() for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    assert any(made[0].split()[1] in step for step in steps)


def test_the_role_of_the_tests_is_made_although_an_interrupted_run_left_schemas() -> None:
    role, schemas = f"role_{uuid.uuid4().hex}", [f"test_{uuid.uuid4().hex}", f"testing{uuid.uuid4().hex}"]
    with empty_database() as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with closing(engine.connect()) as connection:
            try:
                _make_role(url, role, "first")
                for schema in schemas:
                    connection.execute(text(f"CREATE SCHEMA {schema} AUTHORIZATION {role}"))
                    connection.execute(text(f"CREATE TABLE {schema}.left_behind (number int)"))
                _make_role(url, role, "it's second")
                found = connection.scalars(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'test%'")).all()
                assert [schema in found for schema in schemas] == [False, True]
                signed_in = create_engine(make_url(url).set(username=role, password="it's second", query={}))
                with closing(signed_in.connect()) as other:
                    assert other.scalar(text("SELECT current_user")) == role
                signed_in.dispose()
            finally:
                connection.execute(text(f"DROP OWNED BY {role} CASCADE"))
                connection.execute(text(f"DROP ROLE {role}"))
        engine.dispose()


def _make_role(url: str, role: str, password: str) -> None:
    """As `.ci/run` does."""
    if (psql := shutil.which("psql")) is None:
        pytest.skip("needs psql (apt-get install postgresql-client)")
    address = make_url(url).set(query={}).render_as_string(hide_password=False)
    options = ["--quiet", "--set", "ON_ERROR_STOP=1", "--set", f"role={role}", "--set", f"password={password}"]
    script = (ROOT / ".ci/postgresql.sql").read_text()
    done = subprocess.run([psql, *options, address], input=script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_container_and_unit_start_the_server_by_options_that_it_has() -> None:
    (entry,) = (line for line in _joined((ROOT / "Containerfile").read_text()) if line.startswith("ENTRYPOINT"))
    (start,) = (line for line in _joined(_UNIT.read_text()) if line.startswith("ExecStart="))
    for words in (re.findall(r'"([^"]+)"', entry), shlex.split(start.removeprefix("ExecStart="))):
        words = [word for word in words if word != "$MAMMOSYNTH_OPTIONS"]
        assert words[0].endswith(".venv/bin/mammosynth")
        args = build_parser().parse_args(words[1:])
        assert args.token_file == args.data_dir / "tokens.json"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        if os.environ.get("CI"):
            pytest.fail("needs systemd-analyze (apt-get install systemd)")
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    unit = tmp_path / "mammosynth.service"
    unit.write_text(_UNIT.read_text().replace("/opt/mammosynth/.venv/bin/mammosynth", sys.executable))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "mammosynth.service" in line]
    assert (done.returncode, ours) == (0, [])
