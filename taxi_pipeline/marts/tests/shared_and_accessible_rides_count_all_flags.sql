{{ config(meta={'dagster': {'ref': {'name': 'shared_and_accessible_rides'}}}) }}
-- Flags of each month and fleet are those of the table trips.
with mart as (
    select
        month,
        fleet,
        coalesce(sum(num_shared_requests), 0) as shared_requests,
        coalesce(sum(num_shared_matches), 0) as shared_matches,
        coalesce(sum(num_wheelchair_requests), 0) as wheelchair_requests,
        coalesce(sum(num_in_accessible_vehicles), 0) as accessible_vehicles,
        coalesce(sum(num_access_a_ride), 0) as access_a_ride
    from {{ ref('shared_and_accessible_rides') }}
    where {{ of_the_months('month') }}
    group by month, fleet
),

plain as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        sum(coalesce(shared_request, false)::integer) as shared_requests,
        sum(coalesce(shared_match, false)::integer) as shared_matches,
        sum(coalesce(wheelchair_request, false)::integer) as wheelchair_requests,
        sum(coalesce(wheelchair_match, false)::integer) as accessible_vehicles,
        sum(coalesce(access_a_ride, false)::integer) as access_a_ride
    from {{ source('warehouse', 'trips') }}
    where fleet in ('fhv', 'fhvhv') and {{ of_the_months('pickup_date') }}
    group by 1, 2
    having count(shared_request) + count(shared_match) + count(wheelchair_request) + count(wheelchair_match)
        + count(access_a_ride) > 0
)

{{ rows_that_differ('mart', 'plain') }}
