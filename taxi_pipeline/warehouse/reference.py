"""The tables that do not depend on trips: zones, the meanings of codes, what the TLC counts, and known facts."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from taxi_pipeline.tlc.aggregated_report import Indicators
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.ingest import refuse_mixture
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import CODE_TABLES, TLC_INDICATORS, ZONES, Table


def replace_zones(session: Session, zones: Sequence[Zone], file: str, *, synthetic: bool) -> None:
    """Replace the table `zones`.

    Args:
        session: a session that writes.
        zones: all 265 zones.
        file: name of the zone file, for the message.
        synthetic: true if the file was generated.

    Raises:
        MixedDataError: the zones are synthetic and the trips real. Real zones with synthetic trips are allowed.
    """
    if synthetic:
        refuse_mixture(session, file, synthetic=True)
    session.replace(ZONES, [(zone.zone_id, zone.zone, zone.borough, zone.geometry) for zone in zones])


def replace_code_tables(session: Session, rows: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Replace the tables of codes by these rows, by the table's name."""
    replace_tables(session, {table: rows[table.name] for table in CODE_TABLES})


def replace_tables(session: Session, tables: Mapping[Table, Sequence[Sequence[Any]]]) -> None:
    """Replace these small tables by their rows."""
    for table, rows in tables.items():
        session.replace(table, rows)


def rows_of_tables(session: Session, tables: Sequence[Table]) -> dict[Table, list[tuple[Any, ...]]]:
    """All rows of small tables, in the order of their values."""
    return {
        table: session.rows(f"SELECT {', '.join(table.column_names)} FROM {table.name} ORDER BY {', '.join(table.key)}")
        for table in tables
    }


def replace_indicators(session: Session, indicators: Sequence[Indicators]) -> None:
    """Replace the table `tlc_indicators` by these rows."""
    session.replace(TLC_INDICATORS, [astuple(row) for row in indicators])
