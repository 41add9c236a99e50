"""The manifest: which files there are, with their SHA-256, and the code and settings that they belong to.

What it holds, and how it becomes text and is read again. Signing is in `signatures`, the comparison with files in
`comparison`.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage import Entry, Storage
from taxi_pipeline.storage.interface import checked_name
from taxi_pipeline.tlc.fetch_note import read_note

MANIFEST_FILE = "manifest.json"
"""Name of the manifest in the storage. Its signature has this name with `.sig` at its end."""

INPUTS = "raw"
FOLDERS = (INPUTS, "datasets", "outputs")
"""The folders of the storage whose files a manifest lists, all of them."""

NOT_COVERED = "the warehouse and the state of the pipeline (staging/), requests/, inbox/, and Dagster's history"
"""What a manifest says nothing of."""

_FORMAT = "taxi-pipeline-manifest/1"
_LIBRARIES = ("duckdb", "numpy", "pandas", "pyarrow")
"""Libraries that decide on bytes of tables and datasets."""
_PACKAGE = Path(__file__).parents[1]
_CODE = (".py", ".csv", ".css", ".geojson", ".jinja", ".js", ".sql", ".yml")
_MAX_SHOWN = 120


class ManifestError(TaxiPipelineError):
    """There is no manifest, or what is there is none."""


@dataclass(frozen=True, kw_only=True)
class ListedFile:
    """A file as a manifest lists it."""

    name: str
    """Relative to the storage, with forward slashes."""
    size_bytes: int
    sha256: str
    """Hexadecimal."""
    origin: str = ""
    """Of an input: the URL that it was fetched from, or the name of the file that it was imported from."""
    imported: bool = False
    """True of a month that was imported from a file of somebody's own."""

    @property
    def is_input(self) -> bool:
        """True if outputs are made from it; false if it is made itself."""
        return self.name.startswith(f"{INPUTS}/")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of a storage at a time when no run wrote to them."""

    code: Mapping[str, str]
    """What wrote the manifest: versions of the package, of Python and of libraries, and `code_sha256`."""
    settings: Mapping[str, str]
    """The settings that decide on the outputs."""
    files: Sequence[ListedFile]
    """Sorted by name."""

    def text(self) -> str:
        """The manifest as JSON. Equal files, code and settings give equal text."""
        listed = [{key: value for key, value in asdict(file).items() if value or key in _NEEDED} for file in self.files]
        content = {
            "format": _FORMAT,
            "code": dict(self.code),
            "settings": dict(self.settings),
            "inputs": [file for file in listed if file["name"].startswith(f"{INPUTS}/")],
            "outputs": [file for file in listed if not file["name"].startswith(f"{INPUTS}/")],
        }
        return json.dumps(content, indent=1) + "\n"


_NEEDED = {"name", "size_bytes", "sha256"}


def manifest_of(files: Storage, settings: Mapping[str, str]) -> Manifest:
    """Read every file below `FOLDERS`, and list it.

    Args:
        files: the storage.
        settings: those that decide on the outputs.

    Raises:
        ManifestError: there is something that is no regular file, or there are no files at all; says what to do.
        MissingFileError, StorageError: a file can't be read, or was removed meanwhile.
    """
    entries = entries_of(files)
    odd = [entry for entry in entries if entry.oddity]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise ManifestError(
            f"{shown(odd[0].name)}{more} can't be listed: it is {odd[0].oddity}. Put the file itself there, or remove "
            "it"
        )
    if not entries:
        raise ManifestError(
            f"there are no files to list in {', '.join(FOLDERS)} beside {files.uri(MANIFEST_FILE)}: load days first"
        )
    return Manifest(code=code_at_hand(), settings=settings, files=[_listed(files, entry.name) for entry in entries])


def entries_of(files: Storage) -> list[Entry]:
    """All that lies in the folders of a manifest, sorted by name."""
    return sorted((entry for folder in FOLDERS for entry in files.entries_below(folder)), key=lambda entry: entry.name)


def _listed(files: Storage, name: str) -> ListedFile:
    stored = files.digest(name)
    note = read_note(files, name) if name.startswith(f"{INPUTS}/") and not name.endswith(".source.json") else None
    return ListedFile(
        name=name,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        origin=(note.origin.name if note.origin else note.url) if note else "",
        imported=bool(note and note.origin),
    )


def code_at_hand() -> dict[str, str]:
    """Version and SHA-256 of this package's code, and the versions of what decides on bytes beside it."""
    return {
        "taxi-pipeline": importlib.metadata.version("taxi-pipeline"),
        "code_sha256": _sha256_of_code(),
        "python": platform.python_version(),
        **{library: importlib.metadata.version(library) for library in _LIBRARIES},
    }


def _sha256_of_code() -> str:
    """A SHA-256 over names and contents of the package's files, wherever it is installed."""
    found = hashlib.sha256()
    for path in sorted(path for path in _PACKAGE.rglob("*") if path.suffix in _CODE and path.is_file()):
        name = path.relative_to(_PACKAGE).as_posix()
        if not name.startswith(("marts/target/", "marts/logs/")):  # of dbt, when it was run by hand
            found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def read_manifest(content: bytes, place: str) -> Manifest:
    """Read a manifest.

    Args:
        content: its bytes.
        place: where it lies, for messages.

    Raises:
        ManifestError: it is none; says what is wrong with it.
    """
    try:
        found = json.loads(content)
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            given = found.get("format") if isinstance(found, dict) else None
            raise ManifestError(f"{place} is no manifest that this version reads: its format is {_bounded(given)}")
        manifest = Manifest(
            code=_texts(found["code"]),
            settings=_texts(found["settings"]),
            files=sorted(_files(found), key=lambda file: file.name),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ManifestError(f"{place} is no manifest, or a damaged one: {_bounded(error)}") from error
    if len({file.name for file in manifest.files}) < len(manifest.files):
        raise ManifestError(f"{place} is damaged: it lists a file twice")
    return manifest


def _files(found: Mapping[str, Any]) -> Iterator[ListedFile]:
    for part in ("inputs", "outputs"):
        for entry in found[part]:
            file = ListedFile(**entry)
            if file.is_input is not (part == "inputs") or file.name.partition("/")[0] not in FOLDERS:
                raise ValueError(f"{shown(file.name)} is none of the {part}")
            if checked_name(file.name) != file.name or not re.fullmatch("[0-9a-f]{64}", file.sha256):
                raise ValueError(f"the entry of {shown(file.name)} is none")
            if type(file.size_bytes) is not int or type(file.imported) is not bool or not isinstance(file.origin, str):
                raise ValueError(f"the entry of {shown(file.name)} is none")
            yield file


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("code and settings must be texts by name")
    return found


def shown(name: str) -> str:
    """A name of a file as text for a terminal, with escapes where it has what can't be printed."""
    return name if name.isprintable() else ascii(name)


def _bounded(value: object) -> str:
    text = shown(str(value))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
