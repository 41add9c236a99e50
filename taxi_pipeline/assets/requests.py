"""Group `requests`: charts that somebody asked for by a file in `requests/`."""

from typing import Any

import dagster as dg

from taxi_pipeline.assets.metrics import placeholders
from taxi_pipeline.assets.warehouse import POOL, taxi_zones, zone_hourly_trips
from taxi_pipeline.metadata import OWNERS, file_metadata, picture
from taxi_pipeline.resources import FileStore, Session, Warehouse
from taxi_pipeline.trip_requests import TripRequest, parse_request


class TripRequestConfig(dg.Config):
    """What one chart is made of."""

    name: str
    """Of the request's file, without its suffix."""
    request: str
    """The request as JSON."""


@dg.asset(
    group_name="requests",
    deps=[zone_hourly_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    owners=OWNERS,
)
def trip_request(config: TripRequestConfig, warehouse: Warehouse, files: FileStore) -> dg.MaterializeResult:
    """`outputs/requests/<name>.png`: pickups by hour of the day, stacked by weekday, as a file in `requests/` asks.

    Runs of it are launched by `trip_request_sensor`.
    """
    from taxi_pipeline.drawing import draw_trip_request

    request = parse_request(config.request.encode())
    chart = chart_file(config.name)
    with files.locked(chart):
        with warehouse.read() as session:
            counts = pickups(session, request)
            synthetic = bool(session.row("SELECT bool_or(synthetic) FROM loaded_days")[0])
        with files.replacing(chart) as temporary:
            draw_trip_request(counts, title_of(request), temporary, synthetic=synthetic)
    path = files.path(chart)
    return dg.MaterializeResult(
        metadata={
            **file_metadata(path),
            "preview": picture(path),
            "trips": sum(counts.values()),
            "request": dg.MetadataValue.json(request.model_dump(mode="json", exclude_none=True)),
            "synthetic": synthetic,
        }
    )


def chart_file(name: str) -> str:
    """Name of a request's chart in the file store.

    Raises:
        ValueError: the name would lead out of the folder.
    """
    if "/" in name or "\\" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no name of a file: it must hold no slash and not start with a dot")
    return f"outputs/requests/{name}.png"


def pickups(session: Session, request: TripRequest) -> dict[tuple[int, int], int]:
    """(Weekday from 0 for Sunday, hour of the day) → trips picked up, where there are any."""
    conditions: list[tuple[str, list[Any]]] = [
        ("borough = ?", [request.borough]),
        ("pickup_date BETWEEN ? AND ?", [request.start_date, request.end_date]),
    ]
    if request.zone_ids is not None:
        conditions.append((f"zone_id IN ({placeholders(request.zone_ids) or 'NULL'})", [*request.zone_ids]))
    if request.fleet:
        conditions.append(("fleet = ?", [request.fleet]))
    rows = session.rows(
        "SELECT CAST(EXTRACT(DOW FROM pickup_date) AS INTEGER), pickup_hour, CAST(sum(num_trips) AS BIGINT) "
        "FROM zone_hourly_trips JOIN zones ON zone_id = pickup_zone_id "
        f"WHERE {' AND '.join(condition for condition, _ in conditions)} GROUP BY ALL ORDER BY ALL",
        [value for _, values in conditions for value in values],
    )
    return {(weekday, hour): trips for weekday, hour, trips in rows}


def title_of(request: TripRequest) -> str:
    """What the chart shows, in a line or two."""
    fleet = f"{request.fleet.capitalize()} taxi" if request.fleet else "Taxi"
    days = str(request.start_date)
    if request.end_date != request.start_date:
        days += f" to {request.end_date}"
    zones = "" if request.zone_ids is None else f"\nzones {', '.join(map(str, request.zone_ids))}"
    return f"{fleet} pickups in {request.borough}, {days}{zones}"
