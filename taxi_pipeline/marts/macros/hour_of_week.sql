{# The hour of the week: 0 from 00:00 to 00:59 on Sundays, 167 the last one of Saturdays. #}
{% macro hour_of_week(day, hour) -%}
    cast(24 * dayofweek({{ day }}) + {{ hour }} as smallint)
{%- endmacro %}
