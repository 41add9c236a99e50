"""The contracts as the Open Data Contract Standard (ODCS) 3.1 has them: one of the warehouse, one of the datasets."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from taxi_pipeline.datasets.columns import DATASETS
from taxi_pipeline.quality.rules import DEFECTS, SIGMAS, Defect
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.publication_delay import LATE_DAYS, TOO_LATE_DAYS
from taxi_pipeline.warehouse.tables import TABLES, TRIPS, ZONE_SEGMENTS, Column, Kind, Table

STANDARD = "v3.1.0"

_LOGICAL_TYPES = {
    "VARCHAR": "string",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "BOOLEAN": "boolean",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
    "DECIMAL": "number",
}
_OWNER = {"name": "The taxi-pipeline authors"}
_LIMITATIONS = (
    "Trips are as the TLC publishes them: its providers' mistakes stay, and the quality rules say how many are usual. "
    "Times are New York wall time without a zone. The TLC may publish a month again with other rows."
)


def contracts() -> dict[str, dict[str, Any]]:
    """Name of a contract → its content: `warehouse` for the tables, `datasets` for the files."""
    tables = [table for table in (*TABLES, ZONE_SEGMENTS) if table.kind is not Kind.VERSION]
    return {
        "warehouse": _contract(
            "warehouse",
            "Taxi trips of New York: tables",
            "Queries of trips, of their rollups, and of the reference tables.",
            "Query a snapshot of the warehouse, or its export into another database.",
            [_object(table, "table") for table in tables],
        ),
        "datasets": _contract(
            "datasets",
            "Taxi trips of New York: files by fleet and month",
            "Analyses by programs that read Parquet or CSV.",
            "Files of a fleet's month: datasets/NAME/fleet=FLEET/month=YYYY-MM.parquet or .csv. The column fleet is in "
            "the path, and in no file.",
            [_object(table, "file") for table in (*DATASETS, TRIPS)],
        ),
    }


def as_yaml(contract: Mapping[str, Any]) -> str:
    """A contract as YAML. Equal contracts give equal text."""
    import yaml

    return yaml.safe_dump(dict(contract), sort_keys=False, allow_unicode=True, width=120)


def _contract(name: str, title: str, purpose: str, usage: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    newest = "pickup_date" if name == "datasets" else "trips.pickup_date"
    return {
        "version": importlib.metadata.version("taxi-pipeline"),
        "kind": "DataContract",
        "apiVersion": STANDARD,
        "id": f"taxi-pipeline-{name}",
        "name": title,
        "status": "active",
        "domain": "transport",
        "description": {"purpose": purpose, "usage": usage, "limitations": _LIMITATIONS},
        "team": _OWNER,
        "schema": objects,
        "slaProperties": [
            {
                "property": "frequency",
                "value": 1,
                "unit": "month",
                "element": newest,
                "description": "The TLC publishes a month at a time.",
            },
            {
                "property": "latency",
                "value": LATE_DAYS,
                "unit": "d",
                "element": newest,
                "description": "Age of the newest day above which there is a warning; above "
                f"{TOO_LATE_DAYS} days it is an error.",
            },
        ],
    }


def _object(table: Table, kind: str) -> dict[str, Any]:
    quality = _quality(table) if kind == "table" else _unique(table)
    return {
        "name": table.name,
        "physicalName": table.name if kind == "table" else f"datasets/{table.name}",
        "physicalType": kind,
        "logicalType": "object",
        "description": table.description,
        "properties": [_property(table, column, kind) for column in table.columns],
        **({"quality": quality} if quality else {}),
    }


def _property(table: Table, column: Column, kind: str) -> dict[str, Any]:
    is_folder = kind == "file" and column.name == "fleet"
    return {
        "name": column.name,
        "logicalType": _LOGICAL_TYPES[column.type.partition("(")[0]],
        "physicalType": column.type,
        "description": column.description,
        "required": not column.nullable,
        **(
            {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
            if column.name in table.key
            else {}
        ),
        **({"partitioned": True, "partitionKeyPosition": 1} if is_folder else {}),
        **({"transformSourceObjects": list(column.made_from)} if column.made_from else {}),
        **({"customProperties": [{"property": "unit", "value": column.unit}]} if column.unit else {}),
    }


def _unique(table: Table) -> list[dict[str, Any]]:
    if not table.key:
        return []
    return [
        {
            "name": "key_is_unique",
            "type": "library",
            "metric": "duplicateValues",
            "arguments": {"properties": list(table.key)},
            "mustBe": 0,
            "dimension": "uniqueness",
            "severity": "error",
        }
    ]


def _quality(table: Table) -> list[dict[str, Any]]:
    return [*_unique(table), *(map(_rule, DEFECTS) if table is TRIPS else ())]


def _rule(defect: Defect) -> dict[str, Any]:
    """A rule over the days of trips: as SQL that counts the days that break it, where the limit is a fixed one."""
    fleets = ", ".join(defect.fleets)
    rule = {
        "name": defect.name,
        "dimension": "accuracy",
        "severity": "warning",
        "description": f"{defect.description} Fails for a day of {fleets} with more than {defect.max_share:.2%} of "
        "them, beyond random variation.",
    }
    if defect.follows_last_year:
        rule["description"] += " Where 28 days of the year before are loaded, the limit comes from them."
        return {**rule, "type": "text"}
    return {**rule, "type": "sql", "query": bad_days_sql(defect), "mustBe": 0}


def bad_days_sql(defect: Defect) -> str:
    """SQL that counts the loaded days that break a rule with a fixed limit."""
    judged = " OR ".join(
        f"fleet = '{fleet}'" + ("" if defect.coordinates else f" AND pickup_date >= DATE '{FLEETS[fleet].zones_since}'")
        for fleet in defect.fleets
    )
    expected = f"num_trips * {defect.max_share}"
    return (
        f"SELECT count(*) FROM (SELECT count(*) AS num_trips, sum(CASE WHEN {defect.condition} THEN 1 ELSE 0 END) AS "
        f"num FROM trips WHERE {judged} GROUP BY fleet, pickup_date) AS days "
        f"WHERE num > {expected} + {SIGMAS} * sqrt({expected})"
    )
