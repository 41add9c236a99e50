with trips as (
    {% for direction, zone in [('from', 'pickup_zone_id'), ('to', 'dropoff_zone_id')] %}
    select trips.*, zones.zone as airport, '{{ direction }}' as direction
    from {{ ref('stg_trips') }} as trips
    join {{ ref('stg_zones') }} as zones on zones.zone_id = trips.{{ zone }}
    where zones.is_airport and {{ of_the_months('trips.pickup_date') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    month,
    fleet,
    airport,
    direction,
    count(*) as num_trips,
    sum(fare_amount) as fare_amount,
    sum(tip_amount) as tip_amount,
    sum(airport_fee) as airport_fee,
    sum(total_amount) as total_amount,
    {{ ratio('sum(total_amount)', 'count(total_amount)') }} as mean_total_amount,
    {{ ratio('sum(duration_seconds) filter (where is_plausible)', '60 * count(*) filter (where is_plausible)') }}
        as mean_minutes,
    {{ ratio('sum(trip_distance) filter (where is_plausible)', 'count(*) filter (where is_plausible)') }}
        as mean_miles
from trips
group by month, fleet, airport, direction
order by month, fleet, airport, direction
