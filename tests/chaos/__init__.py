"""Kills at random moments, and what must be true after them.

A trial is a run of the real command around a dbt that plays a log (`player.py`), against an Airflow
that is a process of its own (`server.py`). At moments that a seed decides, SIGKILL goes to the
relay, the server, dbt or two of them; often a second attempt of the task follows, now and then
beside the first. Then the faults end, `dbt-relay deliver --all` is run, and what the server holds
is compared with the truth (`verdict.py`): what folding dbt's log gives, of the latest attempt, and
nothing else.

    make chaos                         200 seeds
    python tests/chaos --seed 17       one of them, told step by step
"""
