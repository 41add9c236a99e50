{{ config(meta={'dagster': {'ref': {'name': 'fare_parts'}}}) }}
-- The parts together are the sums of their columns, over the trips that have a total.
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
        sum(
            coalesce(fare_amount, 0) + coalesce(extra, 0) + coalesce(mta_tax, 0) + coalesce(tip_amount, 0)
            + coalesce(tolls_amount, 0) + coalesce(ehail_fee, 0) + coalesce(improvement_surcharge, 0)
            + coalesce(congestion_surcharge, 0) + coalesce(airport_fee, 0) + coalesce(cbd_congestion_fee, 0)
            + coalesce(black_car_fund, 0) + coalesce(sales_tax, 0)
        ) as amount
    from {{ source('warehouse', 'trips') }}
    where total_amount is not null and {{ of_the_months('pickup_date') }}
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
