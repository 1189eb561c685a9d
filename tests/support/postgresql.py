"""A PostgreSQL server for tests, if the environment names one: each test gets a schema of its own in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text

URL = "MAMMOSYNTH_TEST_POSTGRESQL"


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of an empty schema, removed afterwards.

    It skips the test without a server, and fails it where everything must be tested.
    """
    address = os.environ.get(URL)
    if not address:
        reason = f"needs PostgreSQL: set {URL}=postgresql://USER:PASSWORD@HOST/NAME of a server for tests"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with empty_schema(address) as url:
        yield url


@contextmanager
def empty_schema(address: str) -> Iterator[str]:
    """The URL of a new schema of a PostgreSQL database, which is removed afterwards with all that is in it."""
    schema = f"test_{uuid.uuid4().hex}"
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(address).update_query_dict({"options": f"-csearch_path={schema}"})
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()
