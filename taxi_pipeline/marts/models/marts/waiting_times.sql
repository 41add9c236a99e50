{% set max_seconds = 3600 * var('max_wait_hours') %}
{% set waits = [
    ('request_to_pickup', 'request_datetime', 'pickup_datetime'),
    ('request_to_scene', 'request_datetime', 'on_scene_datetime'),
    ('scene_to_pickup', 'on_scene_datetime', 'pickup_datetime'),
] %}

-- Seconds of each wait; -1 for all that are negative, {{ max_seconds + 1 }} for all that are too long.
with waits as (
    select
        month,
        licensee,
        wheelchair_match,
        {% for wait, start, end in waits %}
        case
            when {{ end }} < {{ start }} then -1
            when {{ end }} > {{ start }} + interval '{{ var("max_wait_hours") }}' hour then {{ max_seconds + 1 }}
            else {{ dbt.datediff(start, end, 'second') }}
        end as {{ wait }},
        {% endfor %}
    from {{ ref('stg_trips') }}
    where fleet = 'fhvhv' and {{ of_the_months('pickup_date') }}
),

counted as (
    select
        month,
        licensee,
        case
            {% for wait, _, _ in waits %}
            when grouping({{ wait }}) = 0 then '{{ wait }}'
            {% endfor %}
        end as wait,
        coalesce({% for wait, _, _ in waits %}{{ wait }}{{ ", " if not loop.last }}{% endfor %}) as seconds,
        count(*) as num_with_value,
        count(*) filter (where wheelchair_match) as num_accessible
    from waits
    group by grouping sets (
        {% for wait, _, _ in waits %}
        (month, licensee, {{ wait }}){{ "," if not loop.last }}
        {% endfor %}
    )
),

judged as (
    select *, case when seconds between 0 and {{ max_seconds }} then seconds end as value
    from counted
),

summed as (
    select
        *,
        sum(num_with_value) filter (where value is not null) over (partition by month, licensee, wait) as num_trips,
        sum(num_with_value) filter (where value is not null)
            over (partition by month, licensee, wait order by value) as num_up_to
    from judged
)

select
    month,
    licensee,
    wait,
    cast(sum(num_with_value) as bigint) as num_trips,
    cast(coalesce(sum(num_with_value) filter (where seconds is not null), 0) as bigint) as num_with_times,
    cast(coalesce(sum(num_accessible) filter (where seconds is not null), 0) as bigint) as num_accessible,
    cast(coalesce(sum(num_with_value) filter (where seconds < 0), 0) as bigint) as num_backwards,
    cast(coalesce(sum(num_with_value) filter (where seconds > {{ max_seconds }}), 0) as bigint) as num_too_long,
    cast(coalesce(sum(num_with_value) filter (where value is not null), 0) as bigint) as num_waits,
    {{ ratio('sum(value * num_with_value)', '60 * sum(num_with_value) filter (where value is not null)') }}
        as mean_minutes,
    {% for name in ['first_quartile', 'median', 'third_quartile'] %}
    {{ ratio(quartile(loop.index), '60') }} as {{ name }}_minutes{{ "," if not loop.last }}
    {% endfor %}
from summed
group by month, licensee, wait
order by month, licensee, wait
