-- The measures that the TLC dashboard of toddwschneider.com derives from the TLC's monthly report. Their definitions are
-- those of the view tlc_monthly_reports_dashboard in github.com/toddwschneider/nyc-taxi-data,
-- tlc_statistics/create_statistics_tables.sql.
with report as (
    select * from {{ source('warehouse', 'tlc_indicators') }}
),

counted as (
    select
        report.*,
        cast(day(last_day(report.month)) as double) as num_days,
        report.unique_drivers * cast(report.days_per_driver as double) / day(last_day(report.month)) as drivers_per_day,
        report.trips_per_day * cast(report.minutes_per_trip as double) as trip_minutes_per_day,
        year_before.trips_per_day as trips_per_day_year_before
    from report
    left join report as year_before
        on year_before.license_class = report.license_class
        and year_before.month = cast(report.month - interval 1 year as date)
)

select
    month,
    license_class,
    trips_per_day,
    farebox_dollars_per_day,
    unique_drivers,
    unique_vehicles,
    vehicles_per_day,
    days_per_vehicle,
    hours_per_day_per_vehicle,
    days_per_driver,
    hours_per_day_per_driver,
    minutes_per_trip,
    card_share,
    shared_trips_per_day,
    drivers_per_day,
    {{ ratio('trips_per_day * num_days', 'unique_vehicles') }} as trips_per_vehicle,
    {{ ratio('trips_per_day', 'vehicles_per_day') }} as trips_per_vehicle_per_day,
    {{ ratio('trip_minutes_per_day', '60 * vehicles_per_day') }} as trip_hours_per_vehicle_per_day,
    {{ ratio('trips_per_day', 'vehicles_per_day * cast(hours_per_day_per_vehicle as double)') }}
        as trips_per_vehicle_per_hour,
    {{ ratio('trips_per_day', 'trips_per_day_year_before') }} as trips_to_year_before,
    {{ ratio('shared_trips_per_day', 'trips_per_day') }} as shared_share,
    {{ ratio('farebox_dollars_per_day * num_days', 'unique_vehicles') }} as farebox_dollars_per_vehicle,
    {{ ratio('farebox_dollars_per_day * num_days', 'unique_drivers') }} as farebox_dollars_per_driver,
    {{ ratio('farebox_dollars_per_day', 'trips_per_day') }} as farebox_dollars_per_trip,
    {{ ratio('farebox_dollars_per_day', 'trip_minutes_per_day') }} as farebox_dollars_per_minute,
    {{ ratio('farebox_dollars_per_day', 'vehicles_per_day') }} as farebox_dollars_per_vehicle_per_day,
    {{ ratio('farebox_dollars_per_day', 'drivers_per_day') }} as farebox_dollars_per_driver_per_day
from counted
order by month, license_class
