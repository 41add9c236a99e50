with counted as (
    select month, fleet, licensee, count(*) as num_trips, sum(total_amount) as total_amount
    from {{ ref('stg_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by month, fleet, licensee
)

select
    month,
    fleet,
    licensee,
    num_trips,
    total_amount,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month, fleet)') }} as share_of_fleet,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month)') }} as share_of_all
from counted
order by month, fleet, licensee
