{% set measures = ['fare_amount', 'trip_distance', 'duration_seconds', 'miles_per_hour', 'tip_percent'] %}

-- Trips by value, of all measures in one scan. What a value is counts, not how many trips have it, so the memory does
-- not grow with the trips.
with counted as (
    select
        month,
        fleet,
        case
            {% for measure in measures %}
            when grouping({{ measure }}) = 0 then '{{ measure }}'
            {% endfor %}
        end as measure,
        cast(coalesce({{ measures | join(', ') }}) as double) as counted_value,
        count(*) as num_with_value,
        sum(fare_amount) as fares,
        sum(trip_distance) as miles,
        sum(duration_seconds) as seconds,
        sum(tip_amount) as tips
    from {{ ref('stg_measured_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by grouping sets (
        {% for measure in measures %}
        (month, fleet, {{ measure }}){{ "," if not loop.last }}
        {% endfor %}
    )
),

summed as (
    select
        month,
        fleet,
        case measure when 'duration_seconds' then 'duration_minutes' else measure end as measure,
        case measure when 'duration_seconds' then counted_value / 60 else counted_value end as value,
        num_with_value,
        sum(num_with_value) over (partition by month, fleet, measure) as num_trips,
        sum(num_with_value) over (partition by month, fleet, measure order by counted_value) as num_up_to,
        fares,
        miles,
        seconds,
        tips
    from counted
    where counted_value is not null
)

select
    month,
    fleet,
    measure,
    cast(sum(num_with_value) as bigint) as num_trips,
    case measure
        when 'fare_amount' then {{ ratio('sum(fares)', 'sum(num_with_value)') }}
        when 'trip_distance' then {{ ratio('sum(miles)', 'sum(num_with_value)') }}
        when 'duration_minutes' then {{ ratio('sum(seconds)', '60 * sum(num_with_value)') }}
        when 'miles_per_hour' then {{ ratio('3600 * sum(miles)', 'sum(seconds)') }}
        when 'tip_percent' then {{ ratio('100 * sum(tips)', 'sum(fares)') }}
    end as mean,
    {{ quartile(1) }} as first_quartile,
    {{ quartile(2) }} as median,
    {{ quartile(3) }} as third_quartile
from summed
group by month, fleet, measure
order by month, fleet, measure
