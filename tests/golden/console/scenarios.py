"""The runs that the golden pairs are made of, and what they add to the example project."""

from __future__ import annotations

from dataclasses import dataclass, field

ALL = ("1.7", "1.8", "1.10", "1.11")
NEWEST = ("1.11",)


@dataclass(frozen=True)
class Scenario:
    """One command line, and the state that the project has before it.

    `flags` stand before the subcommand; `level` and `style` are what they ask of the console.
    `varies`: no two runs print the same, so the text is the file log's, unchecked.
    """

    name: str
    command: str
    flags: list[str] = field(default_factory=list)
    versions: tuple[str, ...] = NEWEST
    extra: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    edit: tuple[str, ...] = ()
    level: str = "info"
    style: str = "text"
    colours: bool = False
    varies: bool = False


EXTRA: dict[str, dict[str, str]] = {
    "talk": {
        "macros/talk.sql": """\
{% macro talk() %}
  {% do print("printed") %}
  {% do print("a\\nb") %}
  {% do print("") %}
  {% do print("ends with a newline\\n") %}
  {% do print({"a": 1}) %}
  {% do log("logged", info=true) %}
  {% do log("first\\n  second\\n", info=true) %}
  {% do log("", info=true) %}
  {% do log("not for the console") %}
  {% do log("€ ünï \\u2028 🦆 \\t tab \\r return \\x1b[35mpurple\\x1b[0m", info=true) %}
  {% do exceptions.warn("a warning\\nof two lines") %}
{% endmacro %}
{% macro print_event() %}
  {% do print('{"info": {"level": "info", "name": "X", "msg": "no event"}, "data": {}}') %}
  {% do print('[1, 2]') %}
{% endmacro %}
{% macro fail() %}
  {{ exceptions.raise_compiler_error("this macro\\n\\nfails") }}
{% endmacro %}
""",
        "models/talkative.sql": "{{ print('from a model\\n  in two lines') }}"
        "{{ log('and\\nlogged', info=true) }}select 1 as id\n",
    },
    "hooks": {
        "macros/hooks.sql": """\
{% macro hook_sql(name) %}{% do log(name, info=true) %}select 1{% endmacro %}
""",
    },
    "warn": {
        "tests/warns.sql": "{{ config(severity='warn') }} select order_id from {{ ref('orders') }}",
    },
    "sources": {
        "models/sources.yml": """\
version: 2
sources:
  - name: raw
    schema: main
    tables:
      - name: raw_orders
        loaded_at_field: order_date::timestamp
        freshness: {warn_after: {count: 1, period: day}}
      - name: raw_payments
        loaded_at_field: now()::timestamp
        freshness: {error_after: {count: 1, period: day}}
      - name: raw_missing
        loaded_at_field: now()
        freshness: {error_after: {count: 1, period: day}}
""",
    },
    "batches": {
        "models/events.sql": """\
{{ config(materialized='table', event_time='at') }}
select range as at from range(timestamp '2024-01-01', timestamp '2024-01-05', interval 6 hour)
""",
        "models/batched.sql": """\
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at',
          begin='2024-01-01', batch_size='day', lookback=0, concurrent_batches=false) }}
select at, case when at >= timestamp '2024-01-03' and at < timestamp '2024-01-04'
                then ('x' || at)::int else 1 end as n
from {{ ref('events') }}
""",
    },
    "kinds": {
        "models/kinds.yml": """\
version: 2
exposures:
  - name: a_dashboard
    type: dashboard
    owner: {name: nobody, email: nobody@example.com}
    depends_on: [ref('orders')]
unit_tests:
  - name: halves
    model: halved
    given:
      - input: ref('stg_orders')
        rows: [{order_id: 4}]
    expect:
      rows: [{half: 3}]
""",
        "models/halved.sql": "select order_id / 2 as half from {{ ref('stg_orders') }}\n",
        "models/eph_broken.sql": "{{ config(materialized='ephemeral') }}"
        "select {{ no_such_macro() }} as id\n",
        "models/of_eph.sql": "select * from {{ ref('eph_broken') }}\n",
    },
    "unparsable": {"models/unparsable.sql": "select {{ ref('orders' }}\n"},
    "no_project": {"dbt_project.yml": "name: [\n"},
}

BUILT = ("build",)

SCENARIOS = [
    Scenario("build", "build", versions=ALL),
    Scenario("run", "run --exclude tag:on_purpose", versions=ALL, before=("seed",)),
    Scenario("talk", "run-operation talk", versions=ALL, extra=("talk",)),
    Scenario("show_model", "show -s stg_orders", versions=ALL, before=("build",)),
    Scenario("compile", "compile -s stg_orders", versions=ALL),
    Scenario("ls", "ls", versions=ALL),
    Scenario("build_colours", "build", colours=True),
    Scenario("test", "test", before=BUILT),
    Scenario("ls_json", "ls --output json -s stg_orders", before=BUILT),
    Scenario("ls_quiet", "ls -s stg_orders", ["--quiet"], level="error", versions=ALL),
    Scenario("show_inline", "show --inline 'select 1 as a'", before=BUILT),
    Scenario("show_json", "show -s stg_orders --output json --limit 2", before=BUILT),
    Scenario(
        "show_quiet", "show -s stg_orders", ["--quiet"], versions=ALL, before=BUILT, level="error"
    ),
    Scenario("compile_quiet", "compile -s stg_orders", ["--quiet"], versions=ALL, level="error"),
    Scenario("talk_quiet", "run-operation talk", ["--quiet"], extra=("talk",), level="error"),
    Scenario("talk_no_print", "run-operation talk", ["--no-print"], extra=("talk",)),
    Scenario(
        "talk_warn", "run-operation talk", ["--log-level", "warn"], extra=("talk",), level="warn"
    ),
    Scenario("talk_model", "run -s talkative", extra=("talk",)),
    Scenario("print_event", "run-operation print_event", versions=ALL, extra=("talk",)),
    Scenario("operation_fails", "run-operation fail", extra=("talk",)),
    Scenario("build_quiet", "build", ["--quiet"], level="error"),
    Scenario("freshness", "source freshness", extra=("sources",), before=("seed",)),
    Scenario("docs", "docs generate --select stg_orders", before=BUILT),
    Scenario("nothing", "run -s no_such_model", versions=ALL),
    Scenario("selector", "build --selector nope"),
    Scenario("unparsable", "build", extra=("unparsable",)),
    Scenario("no_project", "build", extra=("no_project",)),
    Scenario("retry", "retry", before=BUILT),
    Scenario("warn", "test -s warns", extra=("warn",), before=("build --exclude warns",)),
    Scenario(
        "warn_error", "test -s warns", ["--warn-error"], extra=("warn",), before=("run", "seed")
    ),
    Scenario(
        "batches",
        "run -s events batched --event-time-start 2024-01-01 --event-time-end 2024-01-05",
        extra=("batches",),
    ),
    Scenario("kinds", "build -s +halved +of_eph a_dashboard", extra=("kinds",)),
    Scenario("fail_fast", "build --fail-fast", varies=True),
    Scenario("parse", "parse"),
    Scenario(
        "debug_text",
        "run -s stg_orders",
        ["--log-level", "debug"],
        before=BUILT,
        level="debug",
        varies=True,
    ),
    Scenario(
        "debug_style",
        "run -s stg_orders",
        ["--log-format", "debug", "--log-level", "debug"],
        before=BUILT,
        level="debug",
        style="debug",
        varies=True,
    ),
    Scenario("clean", "clean", before=("seed",)),
]
