{{ config(meta={'dagster': {'ref': {'name': 'market_share'}}}) }}
-- Trips and totals of each month and fleet are those of the table trips.
with mart as (
    select month, fleet, sum(num_trips) as num_trips, sum(total_amount) as total_amount
    from {{ ref('market_share') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select {{ month_of('pickup_date') }} as month, fleet, count(*) as num_trips, sum(total_amount) as total_amount
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
