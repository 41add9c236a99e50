"""Voids: pairs of published rows that cancel each other, as SQL over `trips`.

When a trip is voided, or nothing is charged after all, vendors publish its row once more with negative amounts. Both
rows stay in `trips`, and the TLC counts both; their dollars cancel, their miles and passengers count twice. What makes
two rows a void is declared here, once; the table `zone_hourly_voids` (`rollups`) and the view `net_trips` (`views`)
come from it.

Both rows have the same pickup second, so a void lies within one day of one fleet. Few rows have a negative total, so
the SQL looks for those first, and then only at rows that are like one of them.
"""

from taxi_pipeline.warehouse.tables import TRIPS

VOID_FLEETS = ("yellow", "green")
"""The fleets whose meters write voids: taxis."""

VOID_KEY = (
    "fleet",
    "pickup_date",
    "pickup_datetime",
    "dropoff_datetime",
    "pickup_zone_id",
    "dropoff_zone_id",
    "trip_distance",
)
"""The columns in which both rows of a void are equal; unknown equals unknown. Their totals are opposite."""

_MAY_BE_NULL = ("dropoff_datetime", "trip_distance")
_KEY = ", ".join(f"trips.{column}" for column in VOID_KEY)
_SAME = " AND ".join(
    f"trips.{column} {'IS NOT DISTINCT FROM' if column in _MAY_BE_NULL else '='} refunds.{column}"
    for column in VOID_KEY
)
_OTHERS = ", ".join(
    f"trips.{column} NULLS LAST" for column in TRIPS.column_names if column not in (*VOID_KEY, "total_amount")
)
"""The order of rows that have one key and one total. So it is the same rows that are left over, wherever they stand."""


def _refunds_sql(days: str) -> str:
    """SQL of the keys with a negative total, and of the dollars that are opposite to it."""
    fleets = ", ".join(f"'{fleet}'" for fleet in VOID_FLEETS)
    return (
        f"SELECT DISTINCT {', '.join(VOID_KEY)}, -total_amount AS refunded "
        f"FROM trips WHERE total_amount < 0 AND fleet IN ({fleets}) AND {days}"
    )


def like_refunds_sql(days: str = "TRUE") -> str:
    """SQL of the rows of `trips` with a negative total, and of those that could be the other half of one's void.

    Beside the columns of `trips` they have `is_half`. Of equal rows the k-th with the negative total makes a void with
    the k-th with the positive one, so a key has as many voids as the rarer of the two has rows.

    Args:
        days: SQL for the days to look at; its values are bound twice.
    """
    with_key = f"OVER (PARTITION BY {_KEY}, refunds.refunded)"
    return f"""
SELECT trips.*,
    row_number() OVER (PARTITION BY {_KEY}, trips.total_amount ORDER BY {_OTHERS})
        <= least(
            count(CASE WHEN trips.total_amount < 0 THEN 1 END) {with_key},
            count(CASE WHEN trips.total_amount > 0 THEN 1 END) {with_key}
        ) AS is_half
FROM (SELECT * FROM trips WHERE {days}) AS trips
JOIN ({_refunds_sql(days)}) AS refunds ON {_SAME} AND abs(trips.total_amount) = refunds.refunded
"""


NET_TRIPS_SQL = f"""
SELECT {", ".join(f"trips.{column}" for column in TRIPS.column_names)}
FROM trips
LEFT JOIN ({_refunds_sql("TRUE")}) AS refunds ON {_SAME} AND abs(trips.total_amount) = refunds.refunded
WHERE refunds.refunded IS NULL
UNION ALL
SELECT {", ".join(TRIPS.column_names)} FROM ({like_refunds_sql()}) AS like_refunds WHERE NOT is_half
"""
"""SQL of the rows of `trips` without both halves of each void."""
