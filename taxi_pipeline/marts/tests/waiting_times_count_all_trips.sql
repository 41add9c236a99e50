{{ config(meta={'dagster': {'ref': {'name': 'waiting_times'}}}) }}
-- Each trip counts once for each wait, as what it is. Compares the times themselves, not the seconds between them.
{% set waits = [
    ('request_to_pickup', 'request_datetime', 'pickup_datetime'),
    ('request_to_scene', 'request_datetime', 'on_scene_datetime'),
    ('scene_to_pickup', 'on_scene_datetime', 'pickup_datetime'),
] %}
{% set longest = "interval '" ~ var('max_wait_hours') ~ "' hour" %}

with mart as (
    select * from {{ ref('waiting_times') }} where {{ of_the_months('month') }}
),

counted as (
    select
        {{ month_of('pickup_date') }} as month,
        coalesce(licensee, 'all') as licensee,
        count(*) as num_trips,
        {% for wait, start, end in waits %}
        count(*) filter (where {{ end }} < {{ start }}) as num_backwards_{{ wait }},
        count(*) filter (where {{ end }} > {{ start }} + {{ longest }}) as num_too_long_{{ wait }},
        count(*) filter (where {{ end }} between {{ start }} and {{ start }} + {{ longest }})
            as num_waits_{{ wait }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ source('warehouse', 'trips') }}
    where fleet = 'fhvhv' and {{ of_the_months('pickup_date') }}
    group by 1, 2
),

plain as (
    {% for wait, _, _ in waits %}
    select
        month,
        licensee,
        '{{ wait }}' as wait,
        num_trips,
        num_backwards_{{ wait }} + num_too_long_{{ wait }} + num_waits_{{ wait }} as num_with_times,
        num_backwards_{{ wait }} as num_backwards,
        num_too_long_{{ wait }} as num_too_long,
        num_waits_{{ wait }} as num_waits
    from counted
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

of_the_mart as (
    select month, licensee, wait, num_trips, num_with_times, num_backwards, num_too_long, num_waits from mart
)

select month, licensee, wait from ({{ rows_that_differ('of_the_mart', 'plain') }})
union all
select month, licensee, wait
from mart
where first_quartile_minutes < 0 or first_quartile_minutes > median_minutes
    or median_minutes > third_quartile_minutes or third_quartile_minutes > 60 * {{ var('max_wait_hours') }}
