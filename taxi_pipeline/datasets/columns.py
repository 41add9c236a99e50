"""The columns of the datasets, each dataset declared once, as the tables of the warehouse are.

The files' schema, Dagster's column metadata, the check of a data frame and the data dictionary come from here.
"""

from datetime import date

from taxi_pipeline.warehouse.tables import Column, Table

_FLEET = Column("fleet", "VARCHAR", "Fleet of the trips; in the file's path, and not in the file", nullable=False)
_DOLLARS = "US dollars"


def _zone(what: str) -> tuple[Column, ...]:
    return (
        Column("zone_id", "SMALLINT", f"Zone of the {what}", "id, see zones", nullable=False),
        Column("zone", "VARCHAR", "Its name", nullable=False),
        Column("borough", "VARCHAR", "Its borough", nullable=False),
    )


ZONE_HOURS = Table(
    "zone_hours",
    "Trips by day, hour and pickup zone: `zone_hourly_trips`, with the names of the zones. An hour without trips has "
    "no row.",
    (
        _FLEET,
        Column("pickup_date", "DATE", "Day of the pickup", "New York wall time", nullable=False),
        Column("pickup_hour", "SMALLINT", "Hour of the pickup, 0 to 23", "New York wall time", nullable=False),
        *_zone("pickup"),
        Column("num_trips", "BIGINT", "Number of trips", nullable=False),
        Column("passenger_count", "BIGINT", "Sum of passengers, where known", nullable=False),
        Column("trip_distance", "DECIMAL(18, 3)", "Sum of distances, as published", "miles", nullable=False),
        Column("fare_amount", "DECIMAL(18, 2)", "Sum of fares", _DOLLARS, nullable=False),
        Column("tip_amount", "DECIMAL(18, 2)", "Sum of recorded tips", _DOLLARS, nullable=False),
        Column("total_amount", "DECIMAL(18, 2)", "Sum of totals", _DOLLARS, nullable=False),
    ),
)

MARKET_SHARES = Table(
    "market_shares",
    "Trips of a month by company.",
    (
        _FLEET,
        Column("month", "DATE", "First day of the month", nullable=False),
        Column("company", "VARCHAR", "High-volume company, or `all` for the other fleets", nullable=False),
        Column("num_trips", "BIGINT", "Number of trips", nullable=False),
        Column("total_amount", "DECIMAL(18, 2)", "Sum of totals; NULL for fhv, which publishes none", _DOLLARS),
        Column("share_of_fleet", "DOUBLE", "Share of the fleet's trips of the month", "0 to 1", nullable=False),
        Column(
            "share_of_all",
            "DOUBLE",
            "Share of the trips of all configured fleets; NULL where a day of one of them is not loaded",
            "0 to 1",
        ),
    ),
)

DEMAND_MODEL = Table(
    "demand_model",
    "Expected pickups in an hour of a weekday in a zone, from a model of the year before the month.",
    (
        _FLEET,
        *_zone("pickup"),
        Column("weekday", "SMALLINT", "0 for Sunday to 6 for Saturday", nullable=False),
        Column("pickup_hour", "SMALLINT", "Hour of the pickup, 0 to 23", "New York wall time", nullable=False),
        Column("expected", "DOUBLE", "Expected pickups in the hour", nullable=False),
        Column("low", "DOUBLE", "One hour of twenty is expected to have fewer", nullable=False),
        Column("high", "DOUBLE", "One hour of twenty is expected to have more", nullable=False),
        Column("num_weeks", "SMALLINT", "Number of weeks that the model was trained on", nullable=False),
    ),
)

DATASETS = (ZONE_HOURS, MARKET_SHARES, DEMAND_MODEL)
"""All datasets that the pipeline makes."""

FORMATS = ("parquet", "csv")
"""The formats of the files."""


def dataset_file(dataset: str, fleet: str, month: date, extension: str) -> str:
    """The name in the storage of the file that holds a fleet's month.

    Folders are named as Hive names partitions, so that DuckDB, pandas and Spark read a folder as one table with the
    column `fleet`.

    Args:
        dataset: name of the dataset, for example `zone_hours`.
        fleet: name of the fleet.
        month: first day of the month.
        extension: `parquet` or `csv`.
    """
    return f"datasets/{dataset}/fleet={fleet}/month={month:%Y-%m}.{extension}"
