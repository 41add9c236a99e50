with counted as (
    select month, fleet, licensee, count(*) as num_trips, sum(total_amount) as total_amount
    from {{ ref('stg_trips') }}
    where {{ of_the_months('pickup_date') }}
    group by month, fleet, licensee
),

voids as (
    select {{ month_of('pickup_date') }} as month, fleet, cast(sum(num_trips) as bigint) as num_void_rows
    from {{ source('warehouse', 'zone_hourly_voids') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
)

select
    month,
    fleet,
    licensee,
    num_trips,
    -- Only taxis have voids, and all of a fleet's taxis are one row.
    num_trips - coalesce(num_void_rows, 0) as num_net_trips,
    total_amount,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month, fleet)') }} as share_of_fleet,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month)') }} as share_of_all
from counted
left join voids using (month, fleet)
order by month, fleet, licensee
