{{ config(meta={'dagster': {'ref': {'name': 'request_share'}}}) }}
-- Of a fleet's month in which some trip says who sent it, each trip counts once.
with mart as (
    select month, fleet, sum(num_trips) as num_trips
    from {{ ref('request_share') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select {{ month_of('pickup_date') }} as month, fleet, count(*) as num_trips
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
    having count(request_source) > 0
)

{{ rows_that_differ('mart', 'plain') }}
