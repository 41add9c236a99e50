select
    month,
    licensee,
    count(*) as num_trips,
    sum(driver_pay) as driver_pay,
    sum(tip_amount) as tip_amount,
    sum(trip_distance) as trip_distance,
    cast(sum(trip_time) as bigint) as trip_seconds,
    {{ ratio('sum(driver_pay)', 'count(*)') }} as pay_per_trip,
    {{ ratio('sum(driver_pay)', 'sum(trip_distance)') }} as pay_per_mile,
    {{ ratio('60 * sum(driver_pay)', 'sum(trip_time)') }} as pay_per_minute,
    {{ ratio('sum(driver_pay)', 'sum(fare_amount)') }} as pay_by_fare
from {{ ref('stg_trips') }}
where driver_pay is not null and trip_time > 0 and {{ of_the_months('pickup_date') }}
group by month, licensee
order by month, licensee
