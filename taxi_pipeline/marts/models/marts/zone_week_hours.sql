-- Rows by the hour less those of voids are the net trips, as in the view net_trips.
with counted as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        pickup_zone_id as zone_id,
        {{ hour_of_week('pickup_date', 'pickup_hour') }} as hour_of_week,
        sum(num_trips) as num_trips
    from (
        select fleet, pickup_date, pickup_hour, pickup_zone_id, num_trips
        from {{ source('warehouse', 'zone_hourly_trips') }}
        union all
        select fleet, pickup_date, pickup_hour, pickup_zone_id, -num_trips
        from {{ source('warehouse', 'zone_hourly_voids') }}
    ) as rows_and_voids
    where {{ of_the_months('pickup_date') }}
    group by 1, 2, 3, 4
),

zones_with_pickups as (
    select month, fleet, zone_id
    from counted
    group by month, fleet, zone_id
    having sum(num_trips) > 0
),

hours as (
    select cast(range as smallint) as hour_of_week from range(168)
),

days as (
    select
        month,
        fleet,
        cast(dayofweek(pickup_date) as smallint) as weekday,
        count(*) as num_days
    from {{ ref('stg_loaded_days') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2, 3
)

select
    zones_with_pickups.month,
    zones_with_pickups.fleet,
    zones.zone_id,
    zones.zone,
    zones.borough,
    hours.hour_of_week,
    cast(coalesce(days.num_days, 0) as smallint) as num_days,
    cast(coalesce(counted.num_trips, 0) as bigint) as num_trips,
    {{ ratio('coalesce(counted.num_trips, 0)', 'days.num_days') }} as trips_per_hour
from zones_with_pickups
cross join hours
join {{ ref('stg_zones') }} as zones on zones.zone_id = zones_with_pickups.zone_id
left join counted
    on counted.month = zones_with_pickups.month
    and counted.fleet = zones_with_pickups.fleet
    and counted.zone_id = zones_with_pickups.zone_id
    and counted.hour_of_week = hours.hour_of_week
left join days
    on days.month = zones_with_pickups.month
    and days.fleet = zones_with_pickups.fleet
    and days.weekday = hours.hour_of_week // 24
order by 1, 2, 3, 6
