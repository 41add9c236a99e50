"""Where an export goes: the URL of `--to`, read without ever showing a password."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.exports.target import ExportError

FORMS = "postgresql://user@host:5432/database, duckdb:FILE or parquet:FOLDER"
"""The URLs that are understood."""
_POSTGRES = ("postgresql", "postgres")


@dataclass(frozen=True, kw_only=True)
class PostgresAddress:
    """A PostgreSQL database. What the URL leaves out, libpq finds: PGPASSWORD, ~/.pgpass, PGSERVICE and so on."""

    url: str
    """With the password, where the user has put one into it: for libpq only."""
    secrets: tuple[str, ...]
    """Texts that no message may hold."""

    def __repr__(self) -> str:
        """Without the URL."""
        return "PostgresAddress(…)"


@dataclass(frozen=True, kw_only=True)
class DuckDBAddress:
    """A DuckDB file of this machine."""

    file: Path


@dataclass(frozen=True, kw_only=True)
class ParquetAddress:
    """A folder of this machine."""

    folder: Path


Address = PostgresAddress | DuckDBAddress | ParquetAddress


def address_of(url: str) -> Address:
    """Read the URL of a target.

    Raises:
        ExportError: it names no target that is known. The message holds no part behind the scheme.
    """
    scheme, found, rest = url.partition(":")
    if scheme.lower() == "duckdb" and rest:
        if re.match(r":|\w{2,}:", rest):  # one letter may be a drive's
            raise ExportError(f"duckdb: exports into a file of this machine, not {rest[:40]!r}; name one: duckdb:FILE")
        return DuckDBAddress(file=_path(rest))
    if scheme.lower() == "parquet" and rest:
        if taken := [part for part in _path(rest).parts if part.lower().startswith(("fleet=", "month="))]:
            raise ExportError(
                f"parquet: writes fleet=… and month=… below the folder, and {taken[0][:80]!r} in its path would be "
                "read as one of them; name another folder"
            )
        return ParquetAddress(folder=_path(rest))
    if not found or scheme.lower() not in _POSTGRES:
        named = f"{scheme}:" if found and scheme.isalnum() else "what --to names"
        raise ExportError(f"{named} is no target of an export; its form is {FORMS}")
    if _has_misplaced_at(url):
        raise ExportError(
            "the URL of --to has an @ where none can stand. In a user name, a password or a database's name write %40 "
            "for @, %2F for / and %3F for ?; or leave the password to PGPASSWORD"
        )
    return PostgresAddress(url=url, secrets=_secrets_in(url))


def _path(text: str) -> Path:
    """The path in `duckdb:FILE`, also with the two slashes of a URL before an absolute one."""
    return Path(text.removeprefix("//") if text.startswith("///") else text).expanduser().absolute()


def _has_misplaced_at(url: str) -> bool:
    """Whether libpq would take a part of a user name or password for a host, and show it."""
    server, _, rest = url.partition("://")[2].partition("/")
    database, _, query = rest.partition("?")
    fields = (field.partition("=")[0] for field in query.split("&"))
    return server.count("@") > 1 or "@" in database or any("@" in name for name in fields)


def _secrets_in(url: str) -> tuple[str, ...]:
    """The password as it is written and as it is meant; also of a URL that libpq will refuse."""
    try:
        parts = urlsplit(url)
        written = [parts.password or ""]
        fields = [field.partition("=") for field in parts.query.split("&")]
    except ValueError:
        written, fields = [], []
    written += [value for name, _, value in fields if "password" in name.lower()]
    # What stands between the first colon and the last @, however badly the URL is written.
    behind_user = url.partition("//")[2].rpartition("@")[0].partition(":")[2]
    return tuple({text for found in (*written, behind_user) for text in (found, unquote(found)) if text})


def without_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """The text with *** in place of each secret."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
