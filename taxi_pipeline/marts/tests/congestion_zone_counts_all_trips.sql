{{ config(meta={'dagster': {'ref': {'name': 'congestion_zone'}}}) }}
-- Trips, trips that touch the zone and fees of each month and fleet are those of the table trips.
with mart as (
    select
        month,
        fleet,
        sum(num_trips) as num_trips,
        sum(num_within_zone + num_into_zone + num_out_of_zone) as num_in_zone,
        sum(cbd_congestion_fee) as fees
    from {{ ref('congestion_zone') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        count(*) as num_trips,
        count(*) filter (
            where pickup_zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'congestion zone')
            or dropoff_zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'congestion zone')
        ) as num_in_zone,
        coalesce(sum(cbd_congestion_fee), 0) as fees
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
