"""An Airflow connection in the environment, in the forms in which Airflow itself writes one."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from dbt_relay.cli.airflow_connection import AirflowConnection, use_connection
from dbt_relay.cli.settings import ConfigurationError

SECRET = "p@ss/w:rd?#%é"
NAMED = {"DBT_RELAY_AIRFLOW_CONN_ID": "shop"}
URL, USER, PASSWORD, TOKEN = (
    f"DBT_RELAY_AIRFLOW_{name}" for name in ("URL", "USERNAME", "PASSWORD", "TOKEN")
)


def used(value: str | dict[str, object], **environ: str) -> dict[str, str]:
    """The environment after a connection has been used."""
    text = value if isinstance(value, str) else json.dumps(value)
    given = {**NAMED, "AIRFLOW_CONN_SHOP": text, **environ}
    use_connection(given)
    return given


LOGIN = {URL: "https://airflow:8080", USER: "ann", PASSWORD: SECRET}


@pytest.mark.parametrize(
    ("value", "variables"),
    [
        (f"dbt-relay://ann:{quote(SECRET, safe='')}@airflow:8080/https", LOGIN),
        (f"dbt-relay://https://ann:{quote(SECRET, safe='')}@airflow:8080", LOGIN),
        (
            {
                "conn_type": "dbt_relay",
                "host": "airflow",
                "schema": "https",
                "port": 8080,
                "login": "ann",
                "password": SECRET,
                "extra": None,
            },
            LOGIN,
        ),
        ({"host": "https://airflow", "port": "8080", "login": "ann", "password": SECRET}, LOGIN),
        ("dbt-relay://:abc@airflow", {URL: "http://airflow", TOKEN: "abc"}),
        ("dbt-relay://airflow/?token=a%2Bc", {URL: "http://airflow", TOKEN: "a+c"}),
        (
            "dbt-relay://x:abc@https%3A%2F%2FHost%2FDeployment:444/?token=t",
            {URL: "https://Host:444/Deployment", TOKEN: "t", USER: "x", PASSWORD: "abc"},
        ),
        (
            {"host": "[::1]", "port": 80, "extra": '{"token_file": "/t", "ca_file": "/c"}'},
            {
                URL: "http://[::1]:80",
                "DBT_RELAY_AIRFLOW_TOKEN_FILE": "/t",
                "DBT_RELAY_CA_FILE": "/c",
            },
        ),
        (
            {"host": "a", "password": "abc", "extra": {"proxy": "http://p:3128", "odd": 3}},
            {URL: "http://a", TOKEN: "abc", "DBT_RELAY_PROXY": "http://p:3128"},
        ),
        (
            f"dbt-relay://a/?__extra__={quote(json.dumps({'token': 'abc', 'deep': [1]}))}",
            {URL: "http://a", TOKEN: "abc"},
        ),
    ],
)
def test_a_connection_becomes_the_relays_variables(
    value: str | dict[str, object], variables: dict[str, str]
) -> None:
    """Nothing of the connection itself is left, which dbt could read."""
    assert used(value) == variables


def test_variables_that_are_set_come_first() -> None:
    value = "dbt-relay://ann:secret@airflow"
    assert used(value, **{URL: "http://other"})[URL] == "http://other"
    assert used(value, **{TOKEN: "mine"}) == {URL: "http://airflow", TOKEN: "mine"}
    assert used("dbt-relay://:theirs@airflow", **{USER: "me", PASSWORD: "p"}) == {
        URL: "http://airflow",
        USER: "me",
        PASSWORD: "p",
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "no variable AIRFLOW_CONN_SHOP"),
        (f"no uri {SECRET}", "cannot be read"),
        (f'{{"password": "{SECRET}"', "cannot be read"),
        (f'{{"host": "a", "extra": "{SECRET}"}}', "cannot be read"),
        (f"dbt-relay://ann:{SECRET}@airflow:port", "quote the login and the password"),
        ("dbt-relay://ann:abc@airflow:port", "cannot be read"),
        ("dbt-relay://ann:abc@airflow/shop", "has a schema that is not http"),
        ("dbt-relay://ann:abc@", "lacks a host"),
        ("dbt-relay://ann@airflow", "lacks a login with a password, or a token"),
        ("dbt-relay://", "lacks a host and a login with a password, or a token"),
    ],
)
def test_an_error_names_the_connection_and_shows_no_secret(value: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        used(value)
    assert "'shop'" in raised.value.message
    assert words in raised.value.message
    assert SECRET not in raised.value.message


def test_the_connection_itself_shows_no_secret() -> None:
    assert "abc" not in repr(AirflowConnection.read("shop", "dbt-relay://a:abc@b/?token=abc"))


def test_without_a_name_nothing_changes() -> None:
    environ = {"AIRFLOW_CONN_SHOP": "dbt-relay://ann:abc@airflow"}
    use_connection(environ)
    assert environ == {"AIRFLOW_CONN_SHOP": "dbt-relay://ann:abc@airflow"}
