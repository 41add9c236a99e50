{{ config(meta={'dagster': {'ref': {'name': 'zone_week_hours'}}}) }}
-- Net trips of each zone and hour of the week, and the days that have the hour, counted without the rollups.
with mart as (
    select month, fleet, zone_id, hour_of_week, num_days, num_trips
    from {{ ref('zone_week_hours') }}
    where {{ of_the_months('month') }} and num_trips > 0
),

days as (
    select {{ month_of('pickup_date') }} as month, fleet, dayname(pickup_date) as weekday, count(*) as num_days
    from {{ source('warehouse', 'loaded_days') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2, 3
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        pickup_zone_id as zone_id,
        {{ hour_of_week('pickup_date', 'extract(hour from pickup_datetime)') }} as hour_of_week,
        any_value(days.num_days) as num_days,
        count(*) as num_trips
    from {{ source('warehouse', 'net_trips') }} as trips
    join days using (fleet)
    where {{ of_the_months('pickup_date') }}
        and days.month = {{ month_of('pickup_date') }}
        and days.weekday = dayname(pickup_date)
    group by 1, 2, 3, 4
)

{{ rows_that_differ('mart', 'plain') }}
union all
-- All hours of the week are there, also those without a trip.
select month, fleet, zone_id, null, null, count(*)
from {{ ref('zone_week_hours') }}
where {{ of_the_months('month') }}
group by month, fleet, zone_id
having count(*) <> 168
