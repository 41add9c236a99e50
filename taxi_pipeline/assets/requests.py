"""Group `requests`: charts that somebody asked for by a file in `requests/`."""

from typing import Any

import dagster as dg

from taxi_pipeline.assets.warehouse import POOL, taxi_zones, zone_hourly_trips
from taxi_pipeline.metadata import OWNERS, file_metadata, markdown_table, picture
from taxi_pipeline.resources import FileStore, Warehouse
from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.trip_requests import REQUESTS_FOLDER, TripRequest, decide, parse_request, read_requests


class TripRequestConfig(dg.Config):
    """What one chart is made of. Left empty, every request in `requests/` is drawn."""

    name: str = ""
    """Of the request's file, without its suffix."""
    request: str = ""
    """The request as JSON."""


@dg.asset(
    group_name="requests",
    deps=[zone_hourly_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    owners=OWNERS,
    tags={"output": "picture"},
)
def trip_request(config: TripRequestConfig, warehouse: Warehouse, files: FileStore) -> dg.MaterializeResult:
    """`outputs/requests/<name>.png`: pickups by hour of the day, stacked by weekday, as a file in `requests/` asks.

    `trip_request_sensor` launches a run for each new file. A run without configuration draws all of them.
    """
    if not config.name:
        return _draw_all(warehouse, files)
    request = parse_request(config.request.encode())
    trips, synthetic = draw(config.name, request, warehouse, files)
    path = files.path(chart_file(config.name))
    return dg.MaterializeResult(
        metadata={
            **file_metadata(path),
            "preview": picture(path),
            "trips": trips,
            "request": dg.MetadataValue.json(request.model_dump(mode="json", exclude_none=True)),
            "synthetic": synthetic,
        }
    )


def _draw_all(warehouse: Warehouse, files: FileStore) -> dg.MaterializeResult:
    decision = decide(read_requests(files.path(REQUESTS_FOLDER)), cursor=None)
    drawn = [(new.name, draw(new.name, new.request, warehouse, files)[0]) for new in decision.requests]
    return dg.MaterializeResult(
        metadata={
            "charts": markdown_table(("name", "trips"), drawn),
            "refused": markdown_table(("file", "what is wrong"), decision.errors.items()),
        }
    )


def draw(name: str, request: TripRequest, warehouse: Warehouse, files: FileStore) -> tuple[int, bool]:
    """Draw one chart; gives the trips on it, and whether they are synthetic."""
    from taxi_pipeline.drawing import draw_trip_request

    chart = chart_file(name)
    with files.locked(chart):
        with warehouse.read() as session:
            counts = pickups(session, request)
            synthetic = bool(session.row("SELECT bool_or(synthetic) FROM loaded_days")[0])
        with files.replacing(chart) as temporary:
            draw_trip_request(counts, title_of(request), temporary, synthetic=synthetic)
    return sum(counts.values()), synthetic


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
    pickups = f"{FLEETS[request.fleet].title} pickups" if request.fleet else "Pickups"
    days = str(request.start_date)
    if request.end_date != request.start_date:
        days += f" to {request.end_date}"
    zones = "" if request.zone_ids is None else f"\nzones {', '.join(map(str, request.zone_ids))}"
    return f"{pickups} in {request.borough}, {days}{zones}"
