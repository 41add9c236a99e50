{{ config(meta={'dagster': {'ref': {'name': 'hourly_speeds'}}}) }}
-- Trips, miles and seconds of a fleet's weekends and weekdays are those of the trips that have a speed.
with mart as (
    select
        month,
        fleet,
        day_kind = 'weekend' as is_weekend,
        sum(num_trips) as num_trips,
        sum(trip_distance) as miles,
        round(3600 * sum(duration_hours)) as seconds
    from {{ ref('hourly_speeds') }}
    where {{ of_the_months('month') }}
    group by 1, 2, 3
),

plain as (
    select
        month,
        fleet,
        dayname(pickup_date) in ('Saturday', 'Sunday') as is_weekend,
        count(*) as num_trips,
        sum(trip_distance) as miles,
        sum(duration_seconds) as seconds
    from ({{ measured_trips() }}) as measured_trips
    where trip_distance > 0 and duration_seconds > 0 and {{ of_the_months('pickup_date') }}
    group by 1, 2, 3
)

{{ rows_that_differ('mart', 'plain') }}
