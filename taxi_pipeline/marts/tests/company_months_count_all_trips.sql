{{ config(meta={'dagster': {'ref': {'name': 'company_months'}}}) }}
-- All trips of each month have a company; those of fhv by the base that sent the car, those of fhvhv by the licence.
with mart as (
    select month, company, num_trips
    from {{ ref('company_months') }}
    where {{ of_the_months('month') }}
),

named as (
    select
        {{ month_of('pickup_date') }} as month,
        case
            when fleet in ('yellow', 'green') then fleet
            when fleet = 'fhvhv' then coalesce(licensee, 'all')
            when upper(trim(dispatching_base_num)) in (
                select base_number from {{ source('warehouse', 'company_bases') }}
            ) then (
                select min(company) from {{ source('warehouse', 'company_bases') }}
                where base_number = upper(trim(dispatching_base_num))
            )
            else 'other bases'
        end as company
    from {{ source('warehouse', 'trips') }}
    where {{ of_the_months('pickup_date') }}
),

plain as (
    select month, company, count(*) as num_trips
    from named
    group by 1, 2
)

{{ rows_that_differ('mart', 'plain') }}
