"""What a source is: a file that somebody else publishes, how it is read, and the table that it becomes.

Here are the declaration of a source, the fetching of its file, and the reading of a CSV whose columns are found by
their names. What one source publishes, and what its values mean, is in a module of its own.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.download import TLC_SERVER, FetchedFile, Log, fetch, published_version
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.trip_files import UnusableFileError, describe_content
from taxi_pipeline.warehouse.ingest import refuse_mixture
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import Table

MAX_SHOWN = 80
"""Characters of a published value that a message shows."""

SYNTHETIC_COLUMN = "synthetic"
"""Name of a column by which a CSV says that it is generated."""

_GZIP = b"\x1f\x8b"


class Problem(NamedTuple):
    """A part of a file that can't be used: its value is NULL in the table, or its row is left out."""

    line: int
    """Line of the file, from 1 on."""
    column: str
    value: str
    """The value as published, at most `MAX_SHOWN` characters."""
    outcome: str
    """What became of it."""


@dataclass(frozen=True)
class Contents:
    """What a file of a source holds, as far as it can be read."""

    rows: Sequence[tuple[Any, ...]]
    """The rows of the table, in the order of its columns."""
    problems: Sequence[Problem] = ()
    synthetic: bool = False
    """True if the file says that it is generated."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that is published somewhere, and the table of the warehouse that it becomes."""

    name: str
    """Name of the source, with which the names of its assets begin."""
    description: str
    """Who publishes what, how often, and where that is described."""
    published_at: str
    """URL of the file, `http(s)://`; queries are allowed."""
    file: str
    """Name of the file: in `raw/`, and on a mirror in `misc/`. It ends with `.csv`; a compressed copy ends with
    `.csv.gz`."""
    table: Table
    """A table that is replaced as a whole."""
    read: Callable[[Path], Contents]
    """Reads a local copy of the file; raises `UnusableFileError` when it is something else."""
    min_share: float = 0.5
    """Smallest number of rows, and of values of each column, as a share of those of the copy at hand, with which a new
    file is taken."""
    setting: str | None = None
    """The environment variable with another URL of the file, where `settings` has one."""


@dataclass(frozen=True, kw_only=True)
class SourceServers:
    """Where the sources' files are fetched from, and how long to wait for them."""

    tlc_url: str
    """The TLC's server or a mirror of it: a mirror has the sources' files in `misc/`."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Name of a source → the URL of its file, where it is another one."""
    patience: Patience = field(default_factory=Patience)

    def url_of(self, source: Source) -> str:
        """The URL of a source's file: as set, else on the mirror, else where it is published."""
        if url := self.urls.get(source.name):
            return url
        return source.published_at if self.tlc_url == TLC_SERVER else f"{self.tlc_url}/misc/{source.file}"

    def file_of(self, source: Source) -> str:
        """The name of a source's file in the storage: with `.gz` at its end where the URL has it."""
        compressed = PurePosixPath(urlsplit(self.url_of(source)).path).suffix.lower() == ".gz"
        return f"raw/{source.file}{'.gz' if compressed else ''}"

    def fetch(self, source: Source, files: Storage, *, log: Log = lambda _: None) -> FetchedFile:
        """Fetch a source's file into the storage, unless the copy there is current.

        A file that can't be read, or that has fewer rows, or values of a column, than `min_share` of the copy at hand,
        never takes its place.

        Args:
            source: the source.
            files: the storage.
            log: gets a sentence before each wait.

        Raises:
            FetchError: the server does not give the file and there is no copy, or what it gives is something else.
        """
        name = self.file_of(source)

        def verify(path: Path) -> None:
            found = _sizes_of(source, path)
            known = _sizes_at_hand(source, files, name)
            lost = [
                f"{num:,} {what}, where the copy at hand has {known[what]:,}"
                for what, num in found.items()
                if num < source.min_share * known.get(what, 0)
            ]
            if lost:
                raise UnusableFileError(
                    f"it has {'; '.join(lost)}. If that is right, delete {name} from the storage and fetch again"
                )

        return fetch(self.url_of(source), files, name, verify=verify, patience=self.patience, log=log)

    def published_version(self, source: Source) -> str | None:
        """Ask which version of a source's file is published; None when there is no file.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        return published_version(
            self.url_of(source), patience=replace(self.patience, refusal_pauses_seconds=()), must_exist=False
        )

    def read(self, source: Source, files: Storage) -> Contents:
        """Read the copy in the storage.

        Raises:
            MissingFileError: there is none.
            UnusableFileError: it is something else; that can only be if it was changed in the storage.
        """
        with files.local_copy(self.file_of(source)) as path:
            return source.read(path)


def replace_contents(session: Session, source: Source, contents: Contents) -> None:
    """Replace a source's table by the rows of its file.

    Raises:
        MixedDataError: the file is generated, and the trips are real. A real file with generated trips is allowed.
    """
    if contents.synthetic:
        refuse_mixture(session, source.file, synthetic=True)
    session.replace(source.table, contents.rows)


def _sizes_of(source: Source, path: Path) -> dict[str, int]:
    """What a file has → how many: rows, and values of each column of the table."""
    rows = source.read(path).rows
    values = {
        f"values of {name}": sum(value is not None for value in column)
        for name, column in zip(source.table.column_names, zip(*rows, strict=True), strict=False)
    }
    return {"rows": len(rows), **values}


def _sizes_at_hand(source: Source, files: Storage, name: str) -> dict[str, int]:
    """The same of the copy in the storage; nothing where there is none, or one that can't be read."""
    if not files.exists(name):
        return {}
    try:
        with files.local_copy(name) as path:
            return _sizes_of(source, path)
    except UnusableFileError:
        return {}


@dataclass(frozen=True)
class CsvLines:
    """The lines of a CSV with a header, by the names of its columns."""

    header: Sequence[str]
    """The columns' names in small letters, with underscores for blanks."""
    lines: Iterator[tuple[int, list[str]]]
    """The number of each line and its values, without blanks around them. Empty lines are left out."""

    @property
    def synthetic(self) -> bool:
        """True if the CSV says that it is generated."""
        return SYNTHETIC_COLUMN in self.header

    def cells(self, values: Sequence[str]) -> dict[str, str]:
        """A line's values by column; columns that the line lacks are empty."""
        return {name: values[index] if index < len(values) else "" for index, name in enumerate(self.header)}


def read_lines(path: Path, what: str) -> Iterator[tuple[int, list[str]]]:
    """Read the lines of a CSV, plain or compressed by gzip, in UTF-8.

    Args:
        path: a local copy.
        what: what the file should be, for the message.

    Yields:
        The number of each line that is not empty, and its values without blanks around them.

    Raises:
        UnusableFileError: it is no such text; says what the file is instead.
    """
    with path.open("rb") as raw:
        is_compressed = raw.read(2) == _GZIP
    opener: Any = gzip.open if is_compressed else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for values in reader:
                if stripped := [value.strip() for value in values]:
                    yield reader.line_num, stripped
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise not_the_file(path, what, str(error)) from error


def read_csv(path: Path, what: str, needed: Sequence[str]) -> CsvLines:
    """Read a CSV with a header.

    Args:
        path: a local copy, plain or compressed by gzip.
        what: what the file should be, for the message.
        needed: names of columns without which it is another file, in small letters with underscores.

    Raises:
        UnusableFileError: it is no text, or lacks a needed column; says what the file is instead. Text that turns out
            to be none further down raises while the lines are read.
    """
    lines = read_lines(path, what)
    _, names = next(lines, (0, []))
    header = ["_".join(name.lower().split()) for name in names]
    if missing := [name for name in needed if name not in header]:
        raise not_the_file(path, what, f"it has no column {', '.join(missing)}")
    return CsvLines(header, lines)


def not_the_file(path: Path, what: str, why: str) -> UnusableFileError:
    """The error that a file is something else, with what it is."""
    return UnusableFileError(f"it is not {what} ({why[:200]}) but {describe_content(path)}")
