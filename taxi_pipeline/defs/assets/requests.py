"""Group `requests`: charts for the request files in `requests/`."""

import dagster as dg

from taxi_pipeline.defs.metadata import file_metadata, picture, table
from taxi_pipeline.defs.resources import POOL, FilesParam, WarehouseParam
from taxi_pipeline.outputs.requests.chart import chart_data, draw_trip_request, title_of
from taxi_pipeline.outputs.requests.request_files import (
    TripRequest,
    chart_file,
    decide,
    parse_request,
    read_requests,
)
from taxi_pipeline.storage import Storage, StoredFile
from taxi_pipeline.warehouse.interface import Warehouse


class TripRequestConfig(dg.Config):
    """The request of one chart. Left empty, every request in `requests/` is drawn."""

    name: str = ""
    """Of the request's file, without its suffix."""
    request: str = ""
    """The request as JSON."""


@dg.asset(
    group_name="requests",
    deps=["zone_hourly_trips", "taxi_zones"],
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    tags={"output": "picture"},
)
def trip_request(config: TripRequestConfig, warehouse: WarehouseParam, files: FilesParam) -> dg.MaterializeResult:
    """`outputs/requests/<name>.png`: pickups by hour of the day, stacked by weekday, for a request file.

    `trip_request_sensor` launches a run for each new file in `requests/`. A run without configuration draws all of
    them.
    """
    if not config.name:
        return _draw_all(warehouse, files)
    request = parse_request(config.request.encode())
    file, trips, synthetic = _draw(config.name, request, warehouse, files)
    return dg.MaterializeResult(
        metadata={
            **file_metadata(file),
            "preview": picture(files.read(file.name), title_of(request)),
            "trips": trips,
            "request": dg.MetadataValue.json(request.model_dump(mode="json", exclude_none=True)),
            "synthetic": synthetic,
        }
    )


def _draw_all(warehouse: Warehouse, files: Storage) -> dg.MaterializeResult:
    decision = decide(read_requests(files), cursor=None)
    drawn = [(new.name, _draw(new.name, new.request, warehouse, files)[1]) for new in decision.requests]
    return dg.MaterializeResult(
        metadata={
            "charts": table(("name", "trips"), drawn),
            "refused": table(("file", "what is wrong"), decision.errors.items()),
        }
    )


def _draw(name: str, request: TripRequest, warehouse: Warehouse, files: Storage) -> tuple[StoredFile, int, bool]:
    """Draw one chart; gives its file, the trips on it, and whether they are synthetic."""
    chart = chart_file(name)
    with files.lock(chart):
        counts, synthetic = warehouse.query(chart_data, request)
        file = files.write(chart, draw_trip_request(counts, title_of(request), synthetic=synthetic))
    return file, sum(counts.values()), synthetic
