{% set since = "cast('" ~ var('congestion_zone_since') ~ "' as date)" %}

with trips as (
    select
        trips.month,
        trips.fleet,
        case when trips.pickup_date < {{ since }} then 'before' else 'since' end as period,
        pickup.is_in_congestion_zone as begins_in_zone,
        dropoff.is_in_congestion_zone as ends_in_zone,
        pickup.borough = 'Unknown' or dropoff.borough = 'Unknown' as has_unknown_end,
        trips.cbd_congestion_fee
    from {{ ref('stg_trips') }} as trips
    join {{ ref('stg_zones') }} as pickup on pickup.zone_id = trips.pickup_zone_id
    join {{ ref('stg_zones') }} as dropoff on dropoff.zone_id = trips.dropoff_zone_id
    where {{ of_the_months('trips.pickup_date') }}
),

days as (
    select
        month,
        fleet,
        case when pickup_date < {{ since }} then 'before' else 'since' end as period,
        count(*) as num_days
    from {{ ref('stg_loaded_days') }}
    where {{ of_the_months('pickup_date') }}
    group by month, fleet, period
),

counted as (
    select
        month,
        fleet,
        period,
        count(*) as num_trips,
        count(*) filter (where begins_in_zone and ends_in_zone) as num_within_zone,
        count(*) filter (where not begins_in_zone and ends_in_zone) as num_into_zone,
        count(*) filter (where begins_in_zone and not ends_in_zone) as num_out_of_zone,
        count(*) filter (where has_unknown_end and not begins_in_zone and not ends_in_zone) as num_not_known,
        count(*) filter (where cbd_congestion_fee > 0) as num_with_fee,
        coalesce(sum(cbd_congestion_fee), 0) as cbd_congestion_fee
    from trips
    group by month, fleet, period
)

select
    counted.month,
    counted.fleet,
    counted.period,
    days.num_days,
    counted.num_trips,
    counted.num_within_zone,
    counted.num_into_zone,
    counted.num_out_of_zone,
    {{ ratio('num_within_zone + num_into_zone + num_out_of_zone', '(num_trips - num_not_known)') }} as share_in_zone,
    {{ ratio('num_within_zone + num_into_zone + num_out_of_zone', 'num_days') }} as trips_per_day_in_zone,
    counted.num_with_fee,
    counted.cbd_congestion_fee,
    counted.num_not_known
from counted
join days on days.month = counted.month and days.fleet = counted.fleet and days.period = counted.period
order by counted.month, counted.fleet, counted.period
