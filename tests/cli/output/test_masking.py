"""A fault of the relay is shown without what only its owner may read."""

from __future__ import annotations

import pytest

from dbt_relay.cli.output.masking import print_fault


def test_a_traceback_has_no_secret(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@proxy:3128")
    monkeypatch.setenv("DBT_RELAY_AIRFLOW_TOKEN", "the-token")
    try:
        raise ValueError("Failed to parse: http://me:hunter2@proxy with the-token")
    except ValueError as error:
        print_fault(error)
    said = capfd.readouterr().err
    assert "ValueError: Failed to parse: http://me:*****@proxy with *****" in said
    assert "hunter2" not in said
