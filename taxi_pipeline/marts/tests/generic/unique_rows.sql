{# No two rows are alike in all of these columns. #}
{% test unique_rows(model, columns) %}
select {{ columns | join(', ') }}, count(*) as num_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
