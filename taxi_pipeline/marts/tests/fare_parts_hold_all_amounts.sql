{{ config(meta={'dagster': {'ref': {'name': 'fare_parts'}}}) }}
-- The parts together are the totals, but for what no part explains.
with mart as (
    select month, fleet, sum(amount) as amount
    from {{ ref('fare_parts') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        sum(total_amount) - sum(unexplained) as amount
    from {{ source('warehouse', 'net_parts') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
