select
    fleet,
    pickup_date,
    cast(date_trunc('month', pickup_date) as date) as month
from {{ source('warehouse', 'loaded_days') }}
