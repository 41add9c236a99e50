{{ config(materialized="ephemeral") }}
-- No view: it depends on no days, and would be made for each month.
select
    zone_id,
    zone,
    borough,
    zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'airport') as is_airport,
    zone_id in (select zone_id from {{ source('warehouse', 'zone_areas') }} where area = 'congestion zone')
        as is_in_congestion_zone
from {{ source('warehouse', 'zones') }}
