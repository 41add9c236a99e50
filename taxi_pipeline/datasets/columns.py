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
    key=("fleet", "pickup_date", "pickup_hour", "zone_id"),
)

MARKET_SHARES = Table(
    "market_shares",
    "Trips of a month by company.",
    (
        _FLEET,
        Column("month", "DATE", "First day of the month", nullable=False),
        Column(
            "company",
            "VARCHAR",
            "High-volume company, of fhv by the base that sent the car, or `other bases`; `all` for taxis",
            nullable=False,
        ),
        Column("num_trips", "BIGINT", "Number of trips, as published", nullable=False),
        Column(
            "num_net_trips",
            "BIGINT",
            "Number of trips without both rows of each void, as in the view `net_trips`",
            nullable=False,
        ),
        Column("total_amount", "DECIMAL(18, 2)", "Sum of totals; NULL for fhv, which publishes none", _DOLLARS),
        Column("share_of_fleet", "DOUBLE", "Share of the fleet's trips of the month", "0 to 1", nullable=False),
        Column(
            "share_of_all",
            "DOUBLE",
            "Share of the trips of all configured fleets; NULL where a day of one of them is not loaded",
            "0 to 1",
        ),
    ),
    key=("fleet", "month", "company"),
)

_PICKUPS_AN_HOUR = "pickups an hour"

DEMAND_MODEL = Table(
    "demand_model",
    "Expected pickups by day, hour and zone of a month: a forecast from the twelve months before it, and the forecasts "
    "of two opponents that take no model.",
    (
        _FLEET,
        *_zone("pickup"),
        Column("pickup_date", "DATE", "Day of the pickup", "New York wall time", nullable=False),
        Column("pickup_hour", "SMALLINT", "Hour of the pickup, 0 to 23", "New York wall time", nullable=False),
        Column("expected", "DOUBLE", "Expected pickups in the hour", nullable=False),
        Column("low", "DOUBLE", "One hour of twenty is expected to have fewer", nullable=False),
        Column("high", "DOUBLE", "One hour of twenty is expected to have more", nullable=False),
        Column(
            "num_days",
            "SMALLINT",
            "Number of past days of the same weekday, or of Sundays for a holiday, that were learned from",
            nullable=False,
        ),
        Column(
            "mean_of_8_weeks",
            "DOUBLE",
            "Mean pickups of the same hour on the eight same weekdays before the month; NULL when none is loaded",
        ),
        Column("median_of_8_weeks", "DOUBLE", "Their median; NULL when none is loaded"),
    ),
    key=("fleet", "zone_id", "pickup_date", "pickup_hour"),
)

DEMAND_ERRORS = Table(
    "demand_errors",
    "Errors of a month's forecast in `demand_model`, and of two opponents that take no model.",
    (
        _FLEET,
        Column("month", "DATE", "First day of the month", nullable=False),
        Column(
            "method",
            "VARCHAR",
            "`expected` for the model, or an opponent, `mean_of_8_weeks` or `median_of_8_weeks`: a column of "
            "`demand_model`",
            nullable=False,
        ),
        Column("num_hours", "BIGINT", "Number of compared hours, over all zones", nullable=False),
        Column("rmse", "DOUBLE", "Root of the mean squared error", _PICKUPS_AN_HOUR, nullable=False),
        Column("mae", "DOUBLE", "Mean absolute error", _PICKUPS_AN_HOUR, nullable=False),
        Column(
            "num_busy_hours",
            "BIGINT",
            "Number of compared hours in which the model expects one pickup or more",
            nullable=False,
        ),
        Column("busy_rmse", "DOUBLE", "`rmse` over the busy hours; NULL without any", _PICKUPS_AN_HOUR),
        Column("busy_mae", "DOUBLE", "`mae` over the busy hours; NULL without any", _PICKUPS_AN_HOUR),
        Column(
            "share_inside",
            "DOUBLE",
            "Share of the busy hours inside the model's interval; NULL for the opponents, which have none",
            "0 to 1",
        ),
    ),
    key=("fleet", "month", "method"),
)

DATASETS = (ZONE_HOURS, MARKET_SHARES, DEMAND_MODEL, DEMAND_ERRORS)
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
