"""Group `requests`: charts for the request files in `requests/`.

`trip_request` is external to Dagster's "materialize all": without a request there is nothing to make. The job
`trip_requests`, which `trip_request_sensor` launches, draws a chart and records it as a materialization.
"""

import dagster as dg

from taxi_pipeline.defs.metadata import file_metadata, link, picture
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, WarehouseParam
from taxi_pipeline.outputs.requests.chart import chart_data, draw_trip_request, title_of
from taxi_pipeline.outputs.requests.request_files import (
    TripRequest,
    chart_file,
    decide,
    parse_request,
    read_requests,
)
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage
from taxi_pipeline.warehouse.interface import Warehouse

trip_request = dg.AssetSpec(
    "trip_request",
    group_name="requests",
    deps=["zone_hourly_trips", "taxi_zones"],
    kinds={"duckdb", "matplotlib", "png"},
    tags={"output": "picture"},
    description=(
        "outputs/requests/*name*.png: pickups by hour of the day, stacked by weekday, for a request file.\n"
        "\n"
        "trip_request_sensor launches the job trip_requests for each new file in requests/."
    ),
)


class TripRequestConfig(dg.Config):
    """The request of one chart. Left empty, every request in `requests/` is drawn."""

    name: str = ""
    """Name of the request's file, without its suffix."""
    request: str = ""
    """The request as JSON."""


@dg.op(name="trip_request", pool=POOL)
def draw_requests(
    context: dg.OpExecutionContext,
    config: TripRequestConfig,
    warehouse: WarehouseParam,
    files: FilesParam,
    pages: PagesParam,
) -> None:
    """Draw the chart of a request; without one, those of all request files."""
    if config.name:
        context.log_event(_draw(config.name, parse_request(config.request.encode()), warehouse, files, pages))
        return
    decision = decide(read_requests(files), cursor=None)
    for name, error in decision.errors.items():
        context.log.error(f"{name}: {error}")
    for new in decision.requests:
        context.log_event(_draw(new.name, new.request, warehouse, files, pages))
    if not decision.requests:
        raise dg.Failure("There is no request to draw: put a JSON file into requests/, as data/requests/README.md says")


def _draw(
    name: str, request: TripRequest, warehouse: Warehouse, files: Storage, pages: Pages
) -> dg.AssetMaterialization:
    chart = chart_file(name)
    with files.lock(chart):
        data = warehouse.query(chart_data, request)
        file = files.write(chart, draw_trip_request(data, title_of(request)))
    return dg.AssetMaterialization(
        trip_request.key,
        metadata={
            **file_metadata(file),
            **link(file, pages),
            "preview": picture(files.read(file.name), title_of(request)),
            "trips": data.num_trips,
            "loaded_days": data.num_loaded_days,
            "requested_days": data.num_days,
            "request": dg.MetadataValue.json(request.model_dump(mode="json", exclude_none=True)),
            "synthetic": data.synthetic,
        },
    )
