{# The least of counted values that so many quarters of the trips do not exceed. Of rows with `value`, the number of
   trips up to it (`num_up_to`) and that of all trips (`num_trips`). #}
{% macro quartile(quarters) -%}
    min(value) filter (where 4 * num_up_to >= {{ quarters }} * num_trips)
{%- endmacro %}
