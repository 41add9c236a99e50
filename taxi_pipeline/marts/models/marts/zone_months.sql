with pickups as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        pickup_zone_id as zone_id,
        sum(num_trips) as num_pickups,
        sum(passenger_count) as passenger_count,
        sum(trip_distance) as trip_distance,
        sum(fare_amount) as fare_amount,
        sum(tip_amount) as tip_amount,
        sum(total_amount) as total_amount
    from {{ source('warehouse', 'zone_hourly_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2, 3
),

dropoffs as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        dropoff_zone_id as zone_id,
        sum(num_trips) as num_dropoffs
    from {{ source('warehouse', 'zone_hourly_dropoffs') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2, 3
)

select
    coalesce(pickups.month, dropoffs.month) as month,
    coalesce(pickups.fleet, dropoffs.fleet) as fleet,
    zones.zone_id,
    zones.zone,
    zones.borough,
    cast(coalesce(pickups.num_pickups, 0) as bigint) as num_pickups,
    cast(coalesce(dropoffs.num_dropoffs, 0) as bigint) as num_dropoffs,
    cast(coalesce(pickups.passenger_count, 0) as bigint) as passenger_count,
    coalesce(pickups.trip_distance, 0) as trip_distance,
    coalesce(pickups.fare_amount, 0) as fare_amount,
    coalesce(pickups.tip_amount, 0) as tip_amount,
    coalesce(pickups.total_amount, 0) as total_amount
from pickups
full join dropoffs
    on dropoffs.month = pickups.month and dropoffs.fleet = pickups.fleet and dropoffs.zone_id = pickups.zone_id
join {{ ref('stg_zones') }} as zones on zones.zone_id = coalesce(pickups.zone_id, dropoffs.zone_id)
order by 1, 2, 3
