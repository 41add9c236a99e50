select
    fleet,
    pickup_date,
    {{ month_of('pickup_date') }} as month
from {{ source('warehouse', 'loaded_days') }}
