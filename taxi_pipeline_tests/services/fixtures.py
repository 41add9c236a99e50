"""Fixtures for tests with servers: the address of a server, and a database of the test's own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from taxi_pipeline_tests.services import postgres


def service(variable: str, *, started_by: str = "make test-services") -> str:
    """Read the address of a server; the test skips when none is running."""
    if not (found := os.environ.get(variable)):
        pytest.skip(f"no servers: {variable} is not set; {started_by} starts them")
    return found


@contextmanager
def fresh_database() -> Iterator[str]:
    """The URL of an empty database, which is dropped at the end."""
    import psycopg2

    server = service("TAXI_TEST_POSTGRES_URL")
    name = f"test_{uuid.uuid4().hex}"
    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            try:
                yield f"{server.removesuffix(postgres.DATABASE)}{name}"
            finally:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
