{{ config(meta={'dagster': {'ref': {'name': 'trip_quartiles'}}}) }}
-- Counts the trips of each measure, and those below and up to its median. The other quartiles lie on both sides of it.
{% set measures = ['fare_amount', 'trip_distance', 'duration_minutes', 'miles_per_hour', 'tip_percent'] %}

with trips as (
    select *, duration_seconds / 60 as duration_minutes
    from ({{ measured_trips() }}) as measured_trips
    where {{ of_the_months('pickup_date') }}
),

mart as (
    select * from {{ ref('trip_quartiles') }} where {{ of_the_months('month') }}
),

by_fleet as (
    select
        month,
        fleet,
        {% for measure in measures %}
        max(median) filter (where measure = '{{ measure }}') as median_{{ measure }},
        coalesce(max(num_trips) filter (where measure = '{{ measure }}'), 0) as num_{{ measure }}{{ "," if not loop.last }}
        {% endfor %}
    from mart
    group by month, fleet
)

select trips.month, trips.fleet
from trips
left join by_fleet on by_fleet.month = trips.month and by_fleet.fleet = trips.fleet
group by trips.month, trips.fleet
having false
    {% for measure in measures %}
    or count(trips.{{ measure }}) <> coalesce(any_value(by_fleet.num_{{ measure }}), 0)
    or {{ is_no_median('by_fleet.median_' ~ measure, 'trips.' ~ measure) }}
    {% endfor %}
union all
select month, fleet from mart where first_quartile > median or median > third_quartile
