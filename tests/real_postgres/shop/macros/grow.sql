{# One row in the first run of the model, and one more in each later run. #}
{% macro grow() %}
select {{ 'count(*)' if is_incremental() else '0' }}::int as id, 'a' as word
{% if is_incremental() %} from {{ this }} {% endif %}
{% endmacro %}
