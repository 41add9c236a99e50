{{ config(meta={'dagster': {'ref': {'name': 'license_class_months'}}}) }}
-- Each row of the report is there once, with its figures.
with mart as (
    select month, license_class, trips_per_day, farebox_dollars_per_day, minutes_per_trip, shared_trips_per_day
    from {{ ref('license_class_months') }}
),

plain as (
    select month, license_class, trips_per_day, farebox_dollars_per_day, minutes_per_trip, shared_trips_per_day
    from {{ source('warehouse', 'tlc_indicators') }}
)

{{ rows_that_differ('mart', 'plain') }}
