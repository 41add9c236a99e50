with counted as (
    select
        month,
        fleet,
        day_kind,
        pickup_hour,
        miles_per_hour as value,
        count(*) as num_with_value,
        sum(trip_distance) as miles,
        sum(duration_seconds) as seconds
    from {{ ref('stg_measured_trips') }}
    where miles_per_hour is not null and {{ of_the_months('pickup_date') }}
    group by month, fleet, day_kind, pickup_hour, miles_per_hour
),

summed as (
    select
        *,
        sum(num_with_value) over (partition by month, fleet, day_kind, pickup_hour) as num_trips,
        sum(num_with_value) over (partition by month, fleet, day_kind, pickup_hour order by value) as num_up_to
    from counted
)

select
    month,
    fleet,
    day_kind,
    pickup_hour,
    cast(sum(num_with_value) as bigint) as num_trips,
    sum(miles) as trip_distance,
    {{ ratio('sum(seconds)', '3600') }} as duration_hours,
    {{ ratio('3600 * sum(miles)', 'sum(seconds)') }} as miles_per_hour,
    cast({{ quartile(2) }} as double) as median_miles_per_hour
from summed
group by month, fleet, day_kind, pickup_hour
order by month, fleet, day_kind, pickup_hour
