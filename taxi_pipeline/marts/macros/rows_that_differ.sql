{# The rows that only one of two queries has. #}
{% macro rows_that_differ(first, second) -%}
    (select * from {{ first }} except select * from {{ second }})
    union all
    (select * from {{ second }} except select * from {{ first }})
{%- endmacro %}
