{# The trips with a flag; null where no trip of the company's month has the flag at all, true or false. #}
{% macro flagged(flag, condition=none) -%}
    case when count({{ flag }}) > 0 then count(*) filter (where {{ condition or flag }}) end
{%- endmacro %}
