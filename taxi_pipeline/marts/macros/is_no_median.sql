{# Whether a value is not the median of a column over the rows of a group: fewer than half of them have at most this
   value, or half of them have less. Counts rows, so that a test needs no memory for their values. #}
{% macro is_no_median(median, column) -%}
    (
        count({{ column }}) > 0
        and (
            2 * count(*) filter (where {{ column }} <= {{ median }}) < count({{ column }})
            or 2 * count(*) filter (where {{ column }} < {{ median }}) >= count({{ column }})
        )
    )
{%- endmacro %}
