{# The condition that a day lies in the months that are made; always true when all of them are. #}
{% macro of_the_months(day) -%}
    {%- if var('first_day') -%}
        {{ day }} between cast('{{ var("first_day") }}' as date) and cast('{{ var("last_day") }}' as date)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
