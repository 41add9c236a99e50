"""The comparison of a manifest with the files that are there. Each difference is a finding that names a file."""

from collections.abc import Iterator
from dataclasses import dataclass

from taxi_pipeline.datasets.listing import SUMS_FILE, is_dataset_file, read_sums
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.proof.manifest import ListedFile, Manifest, entries_of, shown
from taxi_pipeline.storage import Entry, MissingFileError, Storage


@dataclass(frozen=True)
class Finding:
    """A file that is not what a manifest says."""

    name: str
    """Name of the file in the storage."""
    what: str
    """What is wrong with it, in words."""


def differences_from(manifest: Manifest, files: Storage) -> Iterator[Finding]:
    """Compare the files with a manifest: all bytes of each file that it lists, and which files there are.

    Args:
        manifest: lists all files.
        files: the storage.

    Yields:
        What was changed, is missing, was added, can't be read, or is no regular file, in the order of the names.

    Raises:
        StorageError: a folder can't be listed, so that nothing can be said of what is in it.
    """
    listed = {file.name: file for file in manifest.files}
    there = {entry.name: entry for entry in entries_of(files)}
    for name in sorted({*listed, *there}):
        what = _difference(listed.get(name), there.get(name), files)
        if what:
            yield Finding(name, what)


def untrue_sums(manifest: Manifest, files: Storage) -> Iterator[Finding]:
    """Compare the list `SHA256SUMS` beside the datasets with a manifest, where the manifest has such a list.

    A file of a dataset that the list lacks, or has with another SHA-256, would fail where it is handed over, although
    it is as the manifest says: the process that wrote it was killed before it wrote the list.
    """
    listed = {file.name: file.sha256 for file in manifest.files}
    if SUMS_FILE not in listed or not files.exists(SUMS_FILE):
        return
    sums = read_sums(files.read(SUMS_FILE).decode("utf-8", "replace"))
    datasets = {name for name in listed if is_dataset_file(name)}
    for name in sorted({*sums, *datasets}):
        if sums.get(name) != listed.get(name):
            what = "lacks" if name not in sums else "has another SHA-256 than the manifest of"
            yield Finding(SUMS_FILE, f"{what} {shown(name)}: materialize its month again")


def _difference(listed: ListedFile | None, entry: Entry | None, files: Storage) -> str:
    """Say what is wrong with a file; nothing where it is as listed."""
    if listed is None:
        return f"was added: the manifest lacks it{f', and it is {entry.oddity}' if entry and entry.oddity else ''}"
    if entry is None:
        return "is missing"
    if entry.oddity:
        return f"is {entry.oddity}, and no file"
    return _difference_of_bytes(listed, files)


def _difference_of_bytes(listed: ListedFile, files: Storage) -> str:
    try:
        if (size := files.size_bytes(listed.name)) != listed.size_bytes:
            return f"was changed: it has {size:,} bytes, in the manifest {listed.size_bytes:,}"
        sha256 = files.digest(listed.name).sha256
    except MissingFileError:
        return "is missing"
    except TaxiPipelineError as error:
        return f"can't be read: {error}"
    if sha256 != listed.sha256:
        return f"was changed: its SHA-256 is {sha256}, in the manifest {listed.sha256}"
    return ""
