{% set parts = [
    'fare_amount', 'extra', 'mta_tax', 'tip_amount', 'tolls_amount', 'ehail_fee', 'improvement_surcharge',
    'congestion_surcharge', 'airport_fee', 'cbd_congestion_fee', 'black_car_fund', 'sales_tax',
] %}

with sums as (
    select
        {{ month_of('pickup_date') }} as month,
        fleet,
        {% for part in parts %}
        sum({{ part }}) as {{ part }},
        count(*) filter (where {{ part }} <> 0) as num_{{ part }},
        {% endfor %}
        sum(total_amount) as total_amount
    from {{ source('warehouse', 'net_parts') }}
    where {{ of_the_months('pickup_date') }}
    group by 1, 2
),

parts as (
    {% for part in parts %}
    select month, fleet, '{{ part }}' as part, num_{{ part }} as num_trips, {{ part }} as amount, total_amount
    from sums
    where {{ part }} is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select month, fleet, part, num_trips, amount, {{ ratio('amount', 'total_amount') }} as share_of_total
from parts
order by month, fleet, part
