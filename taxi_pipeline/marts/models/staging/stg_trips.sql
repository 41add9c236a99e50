select
    fleet,
    case
        when fleet = 'fhv' then coalesce(company, 'other bases')
        else coalesce(licensee, 'all')
    end as licensee,
    request_source,
    pickup_date,
    {{ month_of('pickup_date') }} as month,
    pickup_datetime,
    request_datetime,
    on_scene_datetime,
    pickup_zone_id,
    dropoff_zone_id,
    trip_distance,
    trip_time,
    {{ dbt.datediff('pickup_datetime', 'dropoff_datetime', 'second') }} as duration_seconds,
    coalesce(
        trip_distance <= {{ var('max_plausible_miles') }}
        and dropoff_datetime <= pickup_datetime + interval '{{ var("max_plausible_hours") }}' hour
        and dropoff_datetime >= pickup_datetime,
        false
    ) as is_plausible,
    fare_amount,
    tip_amount,
    airport_fee,
    cbd_congestion_fee,
    total_amount,
    driver_pay,
    shared_request,
    shared_match,
    wheelchair_request,
    wheelchair_match,
    access_a_ride
from {{ source('warehouse', 'trips') }}
left join {{ source('warehouse', 'company_bases') }}
    on fleet = 'fhv' and base_number = upper(trim(dispatching_base_num))
