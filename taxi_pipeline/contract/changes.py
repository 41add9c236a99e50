"""Which changes of a contract break what its users rely on.

A contract is reduced to its promises: tables, columns with their types, units and whether they may be NULL, and keys.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Promises = Mapping[str, Mapping[str, Any]]
"""`contract/table` → `columns` (name → type, whether required, unit; in their order) and `key`."""


def promises_of(contracts: Mapping[str, Mapping[str, Any]]) -> Promises:
    """What contracts promise.

    Args:
        contracts: name → content, as ODCS has it.
    """
    return {
        f"{name}/{table['name']}": _promised(table)
        for name, content in contracts.items()
        for table in content["schema"]
    }


def _promised(table: Mapping[str, Any]) -> dict[str, Any]:
    columns = {
        column["name"]: {
            "type": column["physicalType"],
            "required": column["required"],
            "unit": next((one["value"] for one in column.get("customProperties", ()) if one["property"] == "unit"), ""),
        }
        for column in table["properties"]
    }
    key = [column for column in table["properties"] if column.get("primaryKey")]
    return {
        "columns": columns,
        "key": [column["name"] for column in sorted(key, key=lambda column: column["primaryKeyPosition"])],
    }


def breaking_changes(released: Promises, current: Promises) -> list[str]:
    """Name the changes that break what users of a release rely on. New tables and columns do not.

    Args:
        released: the promises of the last release.
        current: those of now.

    Returns:
        A sentence for each change, with table, column, and the old and the new value.
    """
    return [change for name, table in released.items() for change in _changes(name, table, current.get(name))]


def _changes(name: str, released: Mapping[str, Any], current: Mapping[str, Any] | None) -> Iterator[str]:
    if current is None:
        yield f"{name} is gone"
        return
    was, now = released["columns"], current["columns"]
    for column, old in was.items():
        if column not in now:
            yield f"{name}.{column} is gone"
            continue
        new = now[column]
        for what in ("type", "unit"):
            if old[what] != new[what]:
                yield f"{name}.{column}: its {what} was {old[what] or 'none'}, and is {new[what] or 'none'}"
        if old["required"] and not new["required"]:
            yield f"{name}.{column} was never NULL, and may be now"
    stayed = [column for column in was if column in now]
    if stayed != [column for column in now if column in was]:
        yield f"{name}: its columns have another order, by which files without a header are read"
    if released["key"] and released["key"] != current["key"]:
        yield f"{name}: its key was ({', '.join(released['key'])}), and is ({', '.join(current['key']) or 'none'})"


def is_major(released: str, current: str) -> bool:
    """Whether a version's first number is larger than that of a release, `2.0.0` after `1.4.2`."""
    return int(current.partition(".")[0]) > int(released.partition(".")[0])
