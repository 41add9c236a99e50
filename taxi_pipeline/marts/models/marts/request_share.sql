with counted as (
    select month, fleet, request_source, count(*) as num_trips
    from {{ ref('stg_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by month, fleet, request_source
),

of_months_with_sources as (
    select * from counted
    where (month, fleet) in (select (month, fleet) from counted where request_source is not null)
)

select
    month,
    fleet,
    coalesce(request_source, 'none') as request_source,
    case when request_source is null then 'not said: hailed in the street, or not known' else coalesce(sender, 'not known') end
        as sender,
    num_trips,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month, fleet)') }} as share_of_fleet
from of_months_with_sources
left join {{ source('warehouse', 'request_sources') }} using (request_source)
order by month, fleet, request_source
