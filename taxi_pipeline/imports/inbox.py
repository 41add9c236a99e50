"""The folder `inbox/`: which of its files are to be imported now, and what becomes of them.

A decision is a pure function of what lies there and of the cursor. A file that is imported moves to `inbox/imported/`,
with a receipt; one that is refused stays, with the reason beside it. When that happens is decided in `defs`.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from taxi_pipeline.imports.importing import ImportedMonth, import_file
from taxi_pipeline.imports.originals import RefusedFileError
from taxi_pipeline.storage import Storage
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.storage.whole_files import explaining_disk_errors, make_folder, replacing
from taxi_pipeline.tlc.source import TlcSource

IMPORTED = "imported"
"""Name of the folder for accepted files, in the inbox."""

ANSWER = ".error.txt"
RECEIPT = ".import.json"

MAX_ATTEMPTS = 3
"""Runs that may end without an answer, for example because they were killed."""

MAX_AT_A_TIME = 10
"""Files that a tick asks to import; the next one asks for more."""

MAX_NAME_BYTES = 200
"""Of a file's name: file systems take 255, of which the answer's ending and temporary names need some."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart")
"""Endings of what browsers and copies have not finished."""


@dataclass(frozen=True)
class Receipt:
    """What was imported from the inbox."""

    fleet: str
    month: date
    """Its first day."""
    sha256: str
    """Of the stored file."""

    @property
    def key(self) -> str:
        """Names month and version, for the run that loads it."""
        return f"import {self.fleet} {self.month:%Y-%m} {self.sha256[:12]}"


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """The folder, and where its files are unpacked and converted."""

    folder: Path
    scratch_dir: Path
    first_day: date
    """The first day that is a partition."""

    def files(self) -> dict[str, str]:
        """Name of each file that may be imported → size and time of change, by which a change is noticed.

        Raises:
            StorageError: the folder can't be made or read.
        """
        make_folder(self.folder)
        found: dict[str, str] = {}
        with explaining_disk_errors(self.folder):
            for path in self.folder.iterdir():
                if path.name.startswith(".") or path.name.lower().endswith((ANSWER, *_UNFINISHED)):
                    continue
                with suppress(OSError):  # it is gone
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        found[path.name] = f"{status.st_size} {status.st_mtime_ns}"
        return found

    def answered(self) -> set[str]:
        """The names of the files beside which a reason stands."""
        return {path.name.removesuffix(ANSWER) for path in self.folder.glob(f"*{ANSWER}")}

    def receipts(self) -> list[str]:
        """The names of the receipts of all imported files."""
        return sorted(path.name for path in (self.folder / IMPORTED).glob(f"*{RECEIPT}"))

    def receipt(self, name: str) -> Receipt | None:
        """Read a receipt; None where it is none."""
        try:
            found = json.loads((self.folder / IMPORTED / name).read_text(encoding="utf-8"))
            return Receipt(found["fleet"], date.fromisoformat(f"{found['month']}-01"), found["stored_sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def refuse(self, name: str, reason: str) -> None:
        """Write beside a file why it was not imported."""
        with replacing(self.folder / f"{name}{ANSWER}") as path:
            path.write_text(f"{reason}\n", encoding="utf-8")

    def forget_answers(self, names: Collection[str]) -> None:
        """Remove the reasons beside files that are gone."""
        for name in names:
            with suppress(OSError):
                (self.folder / f"{name}{ANSWER}").unlink(missing_ok=True)

    def take(self, name: str, files: Storage, tlc: TlcSource) -> ImportedMonth:
        """Import a file of the inbox, and move it to the imported ones; or write beside it why not.

        Args:
            name: of the file, without folders.
            files: the storage.
            tlc: the configured fleets.

        Raises:
            RefusedFileError: it can't be imported; the reason stands beside it.
            StorageError: the disk or the storage refuses; nothing was changed, and another attempt may succeed.
        """
        if Path(name).name != name:
            raise RefusedFileError(f"{name!r:.100} is no name of a file in the inbox")
        path = self.folder / name
        try:
            found = import_file(path, files, tlc, Scratch(self.scratch_dir))
        except RefusedFileError as error:
            if path.is_file():
                self.refuse(name, f"{name} was not imported: {error}")
            raise
        self._move(path, found)
        self.forget_answers([name])
        return found

    def _move(self, path: Path, found: ImportedMonth) -> None:
        folder = self.folder / IMPORTED
        make_folder(folder)
        target = folder / path.name
        if target.exists():
            target = folder / f"{found.origin.sha256[:12]}-{path.name}"
        receipt = {
            "fleet": found.fleet,
            "month": f"{found.month:%Y-%m}",
            "rows": found.num_rows,
            "sha256": found.origin.sha256,
            "stored": found.uri,
            "stored_sha256": found.sha256,
            "imported_at": found.origin.imported_at,
            "columns_not_loaded": list(found.unknown_columns),
        }
        with replacing(folder / f"{target.name}{RECEIPT}") as draft:
            draft.write_text(json.dumps(receipt, indent=2), encoding="utf-8")
        with explaining_disk_errors(target):
            path.rename(target)


def unusable_name(name: str) -> str | None:
    """Why no run can be asked for a file of this name; None when one can."""
    if not name.isprintable() or "\\" in name:  # as Python shows bytes that are no UTF-8
        return "its name holds characters that can't be shown: rename the file"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"its name has {len(name.encode())} bytes, and may have {MAX_NAME_BYTES}: rename the file"
    return None


def shown_name(name: str) -> str:
    """A file's name as logs and answers may hold it: one that needed a change ends in a digest."""
    if unusable_name(name) is None:
        return name
    printable = "".join(letter if letter.isprintable() and letter != "\\" else "_" for letter in name)
    short = printable.encode()[: MAX_NAME_BYTES // 2].decode(errors="ignore")
    return f"{short}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


@dataclass(frozen=True)
class NewFile:
    """A file to import."""

    name: str
    key: str
    """Names the file's version and the attempt."""


@dataclass(frozen=True)
class Decision:
    """What a look at the inbox comes to."""

    imports: list[NewFile]
    waiting: list[str]
    """Files that are new or have changed since the last look: they may still be written."""
    given_up: list[str]
    """Files whose imports ended without an answer, as often as they may."""
    unusable: dict[str, str]
    """Files that can't be asked for → why; once each."""
    cursor: str


def decide(
    files: Mapping[str, str],
    answered: Collection[str],
    cursor: str | None,
    is_running: Callable[[str], bool],
) -> Decision:
    """Find what is to be imported.

    Args:
        files: name → size and time of change.
        answered: the files beside which a reason stands.
        cursor: of the previous decision; None for the first.
        is_running: whether a run for the key of a file is queued or in progress.
    """
    seen = _read(cursor)
    now: dict[str, tuple[str, int]] = {}
    decision = Decision([], [], [], {}, "")
    for name, signature in sorted(files.items()):
        before, attempts = seen.get(name, ("", 0))
        if signature != before:
            now[name] = (signature, 0)
            decision.waiting.append(name)
            continue
        now[name] = (signature, attempts)
        if reason := unusable_name(name):
            if attempts == 0:
                decision.unusable[name] = reason
                now[name] = (signature, 1)
            continue
        if attempts and (name in answered or is_running(_key(name, signature, attempts))):
            continue
        if attempts == MAX_ATTEMPTS:
            decision.given_up.append(name)
        elif len(decision.imports) < MAX_AT_A_TIME:
            now[name] = (signature, attempts + 1)
            decision.imports.append(NewFile(name, _key(name, signature, attempts + 1)))
    return Decision(
        decision.imports,
        decision.waiting,
        decision.given_up,
        decision.unusable,
        json.dumps(now),
    )


def new_receipts(receipts: Collection[str], cursor: str | None) -> tuple[list[str], str]:
    """The receipts that are new since the cursor was written, and the next cursor.

    Args:
        receipts: names of the receipts of all imported files.
        cursor: of the previous call; None for the first.
    """
    try:
        seen = {str(name) for name in json.loads(cursor or "[]")}
    except (ValueError, TypeError):
        seen = set()
    return sorted(set(receipts) - seen), json.dumps(sorted(receipts))


def _key(name: str, signature: str, attempt: int) -> str:
    return f"{name} {signature} {attempt}"


def _read(cursor: str | None) -> dict[str, tuple[str, int]]:
    """Of each file its version and attempts; empty when the cursor is of another form."""
    try:
        return {str(name): (str(seen), int(num)) for name, (seen, num) in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
