{# The net trips that are plausible, with their measures; a measure that is not known, or known to be wrong, is null.
   Tests read it, too, and not the staging view: dbt runs a test whenever one of the models that it names is built. #}
{% macro measured_trips() %}
{% set seconds = dbt.datediff('pickup_datetime', 'dropoff_datetime', 'second') %}
-- Unknown counts as plausible, as in the means of the monthly report.
with plausible as (
    select
        *,
        case when not {{ var('flat_fares') }} then fare_amount end as fare,
        case when not {{ var('wrong_times') }} then {{ seconds }} end as seconds,
        case when trip_distance > 0 then trip_distance end as miles
    from {{ source('warehouse', 'net_trips') }}
    where not coalesce(
            trip_distance > {{ var('max_plausible_miles') }}
            or dropoff_datetime > pickup_datetime + interval '{{ var("max_plausible_hours") }}' hour,
            false
        )
        and not coalesce(dropoff_datetime < pickup_datetime, false)
),

tips as (
    select
        *,
        -- The tip of a taxi is recorded if it is paid by card; that of a high-volume company if it is paid in the app.
        case
            when fleet in ('yellow', 'green') and payment_type is distinct from {{ var('credit_card') }} then null
            when fare > 0 then tip_amount
        end as tip
    from plausible
)

select
    fleet,
    pickup_date,
    {{ month_of('pickup_date') }} as month,
    cast(extract(hour from pickup_datetime) as smallint) as pickup_hour,
    case when isodow(pickup_date) > 5 then 'weekend' else 'weekday' end as day_kind,
    fare as fare_amount,
    miles as trip_distance,
    seconds as duration_seconds,
    cast({{ ratio('3600 * miles', 'seconds') }} as decimal(18, 2)) as miles_per_hour,
    tip as tip_amount,
    cast({{ ratio('100 * tip', 'fare') }} as decimal(18, 2)) as tip_percent
from tips
{% endmacro %}
