"""What lies beside the datasets for programs of others: `datapackage.json`, a Data Package, and `SHA256SUMS`.

Each write of a dataset brings both up to date, so no asset, no tick and no second reading of the files is needed for
them. Which columns a dataset has is in `columns`, its bytes are in `encoding`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from taxi_pipeline.datasets.columns import DATASETS
from taxi_pipeline.storage import MissingFileError, Storage, StoredFile
from taxi_pipeline.warehouse.tables import TRIPS, Column, Table

FOLDER = "datasets"
PACKAGE_FILE = f"{FOLDER}/datapackage.json"
SUMS_FILE = f"{FOLDER}/SHA256SUMS"

PUBLISHED = (*DATASETS, TRIPS)
"""All datasets; single trips are a table of the warehouse, too."""

_PROFILES = "https://datapackage.org/profiles/2.0"
_FILE = re.compile(
    rf"{FOLDER}/({'|'.join(table.name for table in PUBLISHED)})/fleet=(\w+)/month=(\d{{4}}-\d\d)\.(parquet|csv)"
)
_MEDIA_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
_TYPES = {
    "VARCHAR": "string",
    "DATE": "date",
    "TIMESTAMP": "datetime",
    "BOOLEAN": "boolean",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "DECIMAL": "number",
}


@dataclass(frozen=True)
class _Content:
    size_bytes: int
    sha256: str


def list_datasets(files: Storage, written: Iterable[StoredFile]) -> None:
    """Bring the lists up to date after files of datasets were written.

    What the lists know already is not read again; a file that they don't know is described by the storage, once. Equal
    files give equal bytes of both lists, and nothing is written when nothing changed.

    Args:
        files: the storage.
        written: the files as they were written.
    """
    with files.lock(PACKAGE_FILE):
        there = [entry.name for entry in files.entries_below(FOLDER) if is_dataset_file(entry.name)]
        known = {**_known(files), **{file.name: _Content(file.size_bytes, file.sha256) for file in written}}
        contents = {name: known.get(name) or _described(files, name) for name in sorted(there)}
        beside = {PACKAGE_FILE: _package(contents), **dict(_schemas(contents))}
        for name, text in beside.items():
            _write(files, name, text)
        sums = {
            **{name: content.sha256 for name, content in contents.items()},
            **{name: sha256(text.encode()).hexdigest() for name, text in beside.items()},
        }
        _write(files, SUMS_FILE, "".join(f"{sums[name]}  {_inside(name)}\n" for name in sorted(sums)))


def read_sums(text: str) -> dict[str, str]:
    """Name in the storage → SHA-256, of the lines of `SHA256SUMS`; a line of another form is left out."""
    return {f"{FOLDER}/{found[2]}": found[1] for found in re.finditer(r"^([0-9a-f]{64})  (.+)$", text, re.MULTILINE)}


def _known(files: Storage) -> dict[str, _Content]:
    """What the package says of its files; nothing where there is no package, or one that was changed by hand."""
    try:
        resources = json.loads(files.read(PACKAGE_FILE))["resources"]
        return {
            f"{FOLDER}/{one['path']}": _Content(int(one["bytes"]), str(one["hash"]).removeprefix("sha256:"))
            for one in resources
        }
    except (MissingFileError, ValueError, KeyError, TypeError):
        return {}


def _described(files: Storage, name: str) -> _Content:
    found = files.describe(name)
    return _Content(found.size_bytes, found.sha256)


def _write(files: Storage, name: str, text: str) -> None:
    try:
        if files.read(name) == text.encode():
            return
    except MissingFileError:
        pass
    files.write(name, text)


def _package(contents: Mapping[str, _Content]) -> str:
    return _json(
        {
            "$schema": f"{_PROFILES}/datapackage.json",
            "name": "taxi-pipeline-datasets",
            "title": "Taxi trips of New York by fleet and month",
            "description": "The path of a file names the fleet, which is no column in it.",
            "resources": [_resource(name, content) for name, content in contents.items()],
        }
    )


def _resource(name: str, content: _Content) -> dict[str, Any]:
    dataset, fleet, month, extension = _parts(name)
    return {
        "name": f"{dataset}.{fleet}.{month}.{extension}",
        "type": "table",
        "path": _inside(name),
        "format": extension,
        "mediatype": _MEDIA_TYPES[extension],
        "bytes": content.size_bytes,
        "hash": f"sha256:{content.sha256}",
        "schema": f"schemas/{dataset}.json",
        "fleet": fleet,
        "month": month,
    }


def _schemas(contents: Mapping[str, _Content]) -> Iterator[tuple[str, str]]:
    """Name and text of the table schema of each dataset that has files."""
    there = {_parts(name)[0] for name in contents}
    for table in PUBLISHED:
        if table.name in there:
            yield f"{FOLDER}/schemas/{table.name}.json", _json(table_schema(table))


def is_dataset_file(name: str) -> bool:
    """Whether a file of this name in the storage is a fleet's month of a dataset."""
    return _FILE.fullmatch(name) is not None


def table_schema(table: Table) -> dict[str, Any]:
    """The columns of a dataset's files as a Table Schema, without the fleet, which is in their paths."""
    key = [name for name in table.key if name != "fleet"]
    return {
        "$schema": f"{_PROFILES}/tableschema.json",
        "fields": [_field(column) for column in table.columns if column.name != "fleet"],
        **({"primaryKey": key} if key else {}),
    }


def _field(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": _TYPES[column.type.partition("(")[0]],
        "description": column.description,
        **({"unit": column.unit} if column.unit else {}),
        **({} if column.nullable else {"constraints": {"required": True}}),
    }


def _parts(name: str) -> tuple[str, str, str, str]:
    """Dataset, fleet, month (YYYY-MM) and extension of a dataset's file."""
    found = _FILE.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no file of a dataset")
    return found[1], found[2], found[3], found[4]


def _inside(name: str) -> str:
    """The name of a file as the lists have it, relative to their folder."""
    return name.removeprefix(f"{FOLDER}/")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
