{{ config(meta={'dagster': {'ref': {'name': 'market_share'}}}) }}
-- Trips and totals of each month and fleet are those of the table trips, net trips those of the view net_trips.
with mart as (
    select month, fleet, sum(num_trips) as num_trips, sum(num_net_trips) as num_net_trips,
        sum(total_amount) as total_amount
    from {{ ref('market_share') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

published as (
    select {{ month_of('pickup_date') }} as month, fleet, count(*) as num_trips, sum(total_amount) as total_amount
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
),

net as (
    select {{ month_of('pickup_date') }} as month, fleet, count(*) as num_net_trips
    from {{ source('warehouse', 'net_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
),

plain as (
    select month, fleet, num_trips, coalesce(num_net_trips, 0) as num_net_trips, total_amount
    from published left join net using (month, fleet)
)

{{ rows_that_differ('mart', 'plain') }}
