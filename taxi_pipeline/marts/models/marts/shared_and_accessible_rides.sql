select
    month,
    fleet,
    licensee,
    count(*) as num_trips,
    {{ flagged('shared_request') }} as num_shared_requests,
    {{ flagged('shared_match') }} as num_shared_matches,
    {{ ratio(flagged('shared_match', 'shared_request and shared_match'), flagged('shared_request')) }}
        as share_of_requests_matched,
    {{ flagged('wheelchair_request') }} as num_wheelchair_requests,
    {{ flagged('wheelchair_match', 'wheelchair_request and wheelchair_match') }} as num_wheelchair_requests_met,
    {{ flagged('wheelchair_match') }} as num_in_accessible_vehicles,
    {{ flagged('access_a_ride') }} as num_access_a_ride
from {{ ref('stg_trips') }}
where fleet in ('fhv', 'fhvhv') and {{ of_the_months('pickup_date') }}
group by month, fleet, licensee
having count(coalesce(shared_request, shared_match, wheelchair_request, wheelchair_match, access_a_ride)) > 0
order by month, fleet, licensee
