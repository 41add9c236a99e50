"""The content of a file as it was given: plain, gzipped, or alone in a zip. What is unpacked is bounded.

Here nothing is known of trips. What the columns say is in `headers`.
"""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.storage.whole_files import explaining_disk_errors
from taxi_pipeline.tlc.trip_files import describe_content


class RefusedFileError(TaxiPipelineError):
    """A file of somebody's own can't be imported. The message begins with what it is, and says what to do."""


MAX_UNPACKED_BYTES = 16 << 30
"""Of a month as text. The largest known is 3 GB (yellow 2009-12, 14.6 million rows)."""

MAX_RATIO = 100
"""Times the packed bytes. A month of trips shrinks to about a fifth; text that repeats itself to a thousandth."""

_ALWAYS_ALLOWED_BYTES = 16 << 20
"""However small the packed file is: a few rows that are much alike pack well."""

MAX_ENTRIES = 1_000
"""Of a zip."""

_CHUNK_BYTES = 1 << 20
_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
_EMPTY_ZIP = b"PK\x05\x06"
_ENCRYPTED = 0x1
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NAMED_AT_MOST = 3


@contextmanager
def content_of(path: Path, scratch: Scratch) -> Iterator[Path]:
    """Give a path to the content of a file: itself, or what it holds packed.

    Args:
        path: the file as it was given. It is only read.
        scratch: where packed content is unpacked to.

    Yields:
        A Parquet file, or what may be a CSV in UTF-8; to be read in the block only.

    Raises:
        RefusedFileError: it is empty, damaged, encrypted, of another kind, holds several files, or unpacks to more than
            any month.
        StorageError: the content can't be unpacked to the disk.
    """
    packed = {_GZIP: _gunzipped, _ZIP: _unzipped, _EMPTY_ZIP: _unzipped}
    unpack = next((how for magic, how in packed.items() if _head(path).startswith(magic)), None)
    if unpack is None:
        _refuse_other_kinds(path)
        yield path
        return
    target = scratch.new_path("content")
    try:
        with explaining_disk_errors(target):
            unpack(path, target)
        _refuse_other_kinds(target)
        yield target
    finally:
        target.unlink(missing_ok=True)


def is_parquet(content: Path) -> bool:
    """Whether the content begins as a Parquet file does."""
    return _head(content).startswith(_PARQUET)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise RefusedFileError(f"it can't be read: {error.strerror}") from error


def _refuse_other_kinds(content: Path) -> None:
    head = _head(content)
    if not head.strip():
        raise RefusedFileError("it is empty")
    # What is no text at all is told here; what is text, by its header.
    is_text = b"\0" not in head and not head.startswith(
        (b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", _GZIP, _ZIP, *_UTF_16)
    )
    is_page = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<", b"{", b"["))
    if not head.startswith(_PARQUET) and (is_page or not is_text or head.startswith(b"version https://git-lfs")):
        raise RefusedFileError(
            f"it is neither a CSV nor a Parquet file but {describe_content(content)}. Accepted are Parquet, CSV in "
            "UTF-8, and a CSV as gzip or alone in a zip"
        )


def _gunzipped(path: Path, target: Path) -> None:
    try:
        with gzip.open(path, "rb") as source:
            _copy_bounded(source, target, path.stat().st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RefusedFileError(
            f"it is a damaged gzip file ({error}), probably cut off: get it again, and compare its size"
        ) from error


def _unzipped(path: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = _only_entry(archive)
            with archive.open(entry) as source:
                _copy_bounded(source, target, min(entry.compress_size, path.stat().st_size))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise RefusedFileError(
            f"it is a zip that can't be unpacked ({error}): get it again, or unpack it and import the CSV in it"
        ) from error


def _only_entry(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of a zip, without folders and what macOS adds."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise RefusedFileError(f"it is a zip with {len(entries):,} entries, where one CSV is expected")
    found = [entry for entry in entries if not entry.is_dir() and not _is_hidden(entry.filename)]
    of_data = [entry for entry in found if entry.filename.lower().endswith((".csv", ".parquet"))]
    if len(of_data or found) != 1:
        named = ", ".join(repr(entry.filename[:60]) for entry in (of_data or found)[:_NAMED_AT_MOST])
        raise RefusedFileError(
            f"it is a zip with {len(of_data or found)} files{f' ({named} …)' if named else ''}, where one month is "
            "expected: unpack it, and import each file by itself"
        )
    (entry,) = of_data or found
    if entry.flag_bits & _ENCRYPTED:
        raise RefusedFileError("it is an encrypted zip: unpack it with its password, and import the CSV in it")
    return entry


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _copy_bounded(source: _Readable, target: Path, packed_bytes: int) -> None:
    """Unpack up to the bound; what a header says of the size is not believed."""
    most = min(MAX_UNPACKED_BYTES, MAX_RATIO * packed_bytes + _ALWAYS_ALLOWED_BYTES)
    done = 0
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            done += len(chunk)
            if done > most:
                raise RefusedFileError(
                    f"it unpacks to more than {most:,} bytes, from {packed_bytes:,}; no month of trips does, so it was "
                    "not unpacked further"
                )
            file.write(chunk)
