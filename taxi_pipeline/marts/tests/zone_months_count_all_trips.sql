{{ config(meta={'dagster': {'ref': {'name': 'zone_months'}}}) }}
-- Each trip of the table trips is picked up in one zone and dropped off in one, and its total counts once.
with mart as (
    select
        month,
        fleet,
        sum(num_pickups) as num_pickups,
        sum(num_dropoffs) as num_dropoffs,
        sum(total_amount) as total_amount
    from {{ ref('zone_months') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        count(*) as num_pickups,
        count(*) as num_dropoffs,
        coalesce(sum(total_amount), 0) as total_amount
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
