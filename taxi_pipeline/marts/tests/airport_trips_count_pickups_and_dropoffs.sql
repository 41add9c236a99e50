{{ config(meta={'dagster': {'ref': {'name': 'airport_trips'}}}) }}
-- Trips from and to the airports are the pickups and drop-offs there.
with mart as (
    select month, fleet, direction, sum(num_trips) as num_trips
    from {{ ref('airport_trips') }}
    where {{ of_the_months('month') }}
    group by month, fleet, direction
),

plain as (
    select {{ month_of('pickup_date') }} as month, fleet, 'from' as direction, sum(num_trips) as num_trips
    from {{ source('warehouse', 'zone_hourly_trips') }}
    where {{ of_the_months('pickup_date') }}
        and pickup_zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'airport')
    group by 1, 2
    union all
    select {{ month_of('pickup_date') }}, fleet, 'to', sum(num_trips)
    from {{ source('warehouse', 'zone_hourly_dropoffs') }}
    where {{ of_the_months('pickup_date') }}
        and dropoff_zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'airport')
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
