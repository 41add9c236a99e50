{# The condition that a day lies in the months that are made, from --event-time-start to the day before
   --event-time-end; always true when all of them are. #}
{% macro of_the_months(day) -%}
    {%- set start = invocation_args_dict.get('event_time_start') -%}
    {%- if start -%}
        {%- set end = invocation_args_dict['event_time_end'] -%}
        ({{ day }} >= cast('{{ start.date() }}' as date) and {{ day }} < cast('{{ end.date() }}' as date))
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
