with hired as (
    select
        month,
        case when fleet in ('yellow', 'green') then fleet else licensee end as company,
        fleet in ('fhv', 'fhvhv') as is_hired,
        cast(sum(num_trips) as bigint) as num_trips,
        cast(sum(num_net_trips) as bigint) as num_net_trips
    from {{ ref('market_share') }}
    where {{ of_the_months('month') }}
    group by all
)

select
    month,
    company,
    num_trips,
    num_net_trips,
    case when is_hired then {{ ratio('num_trips', 'sum(num_trips) over (partition by month, is_hired)') }} end
        as share_of_hired,
    {{ ratio('num_trips', 'sum(num_trips) over (partition by month)') }} as share_of_all
from hired
order by month, company
