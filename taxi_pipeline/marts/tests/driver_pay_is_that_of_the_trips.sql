{{ config(meta={'dagster': {'ref': {'name': 'driver_pay'}}}) }}
-- Trips, pay and seconds of each month are those of the table trips.
with mart as (
    select month, sum(num_trips) as num_trips, sum(driver_pay) as driver_pay, sum(trip_seconds) as trip_seconds
    from {{ ref('driver_pay') }}
    where {{ of_the_months('month') }}
    group by month
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        count(*) as num_trips,
        sum(driver_pay) as driver_pay,
        sum(trip_time) as trip_seconds
    from {{ source('warehouse', 'trips') }}
    where driver_pay is not null and trip_time > 0 and {{ of_the_months('pickup_date') }}
    group by 1
)

{{ rows_that_differ('mart', 'plain') }}
