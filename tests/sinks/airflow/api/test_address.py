"""Addresses of Airflow and of proxies: a login in one is never shown, and a proxy's is sent."""

from __future__ import annotations

import base64

import pytest

from dbt_relay.sinks.airflow import base_url, passwords, proxy_of
from dbt_relay.sinks.airflow.api.address import Proxy, without_login

WITH_LOGIN = [
    "https://u:hunter2@airflow/",
    "HTTPS://u:hunter2@airflow.example.com:8080/api/v2",
    "https://hunter2@airflow",
    "https://:hunter2@airflow",
    "//u:hunter2@airflow",
    "u:hunter2@airflow:8080",
    "hunter2@airflow",
    " https://u:hunter2@airflow \n",
    "https://u:hun@hunter2@airflow",
    "https://u:hunter2/x@airflow",
    "https://u:x?hunter2@airflow",
    "https://u:x#hunter2@airflow",
    "https://u:x hunter2@airflow",
    "https://u:x\nhunter2@airflow",
    "https://u:%68unter2hunter2@airflow",
    "https://u%3Ahunter2%40airflow",
    "https://u%253Ahunter2%2540airflow",
    "https:/u:hunter2@airflow",
    "https:\\\\u:hunter2@airflow",
    "ftp://u:hunter2@airflow",
    "https://airflow/u:hunter2@home",
    "http://u:hunter2@[::1]:8080",
]


@pytest.mark.parametrize("address", WITH_LOGIN)
def test_a_login_in_airflows_address(address: str) -> None:
    with pytest.raises(ValueError, match="must not hold a user name or password") as error:
        base_url(address)
    assert "hunter2" not in str(error.value)
    assert "DBT_RELAY_AIRFLOW_USERNAME" in str(error.value)


@pytest.mark.parametrize(
    "address", ["http://a/?token=hunter2", "http://a/#hunter2", "a?hunter2", "http://a b/?hunter2"]
)
def test_a_secret_in_what_follows_airflows_address(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address of Airflow") as error:
        base_url(address)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("address", WITH_LOGIN)
def test_an_address_as_it_may_be_shown(address: str) -> None:
    shown = without_login(address)
    assert "hunter2" not in shown
    assert "*****" in shown


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("http://u:hunter2@proxy:3128", {"hunter2"}),
        ("http://u:p%40ss@proxy", {"p%40ss", "p@ss"}),
        ("http://token@proxy", {"token"}),
        ("http://u:a:b@proxy", {"a:b"}),
        ("u:hunter2@proxy", {"hunter2"}),
        ("http://proxy:3128", set()),
        ("", set()),
    ],
)
def test_what_must_not_be_seen_of_an_address(address: str, known: set[str]) -> None:
    assert set(passwords(address)) == known


@pytest.mark.parametrize(
    ("address", "url", "login"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("HTTP://Proxy.example.com:3128/ ", "http://Proxy.example.com:3128", None),
        ("https://proxy", "https://proxy", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://me:pass@proxy:3128", "http://proxy:3128", "me:pass"),
        ("http://me@proxy:3128", "http://proxy:3128", "me:"),
        ("http://DOMAIN%5Cme:p%40s%3As%25%2F@proxy", "http://proxy", "DOMAIN\\me:p@s:s%/"),
        ("http://me:p@ss:w@proxy:3128", "http://proxy:3128", "me:p@ss:w"),
        ("http://me:gehe%C3%ADm@proxy", "http://proxy", "me:geheím"),
        ("http://me:geheím@proxy", "http://proxy", "me:geheím"),
    ],
)
def test_a_proxy(address: str, url: str, login: str | None) -> None:
    proxy = Proxy.of(address)
    assert proxy.url == url
    sent = proxy.headers.get("Proxy-Authorization")
    expected = None if login is None else "Basic " + base64.b64encode(login.encode()).decode()
    assert sent == expected
    assert "Basic" not in repr(proxy)


BAD_PROXIES = [
    "u:hunter2@proxy:3128",
    "//u:hunter2@proxy:3128",
    "http://u:hunter2@proxy:notaport",
    "http://u:hunter2@proxy:0",
    "http://u:hunter2@proxy:65536",
    "http://u:hunter2@proxy:123456",
    "http://u:hunter2@",
    "http://u:hunter2@:3128",
    "http://u:hunter2@pro xy:3128",
    "http://u:hunter2/x@proxy:3128",
    "http://u:x#hunter2@proxy:3128",
    "http://u:x\nhunter2@proxy:3128",
    "http://u:hunter2@proxy:3128/path",
    "http://u:hunter2@proxy?x",
    "http://u:hunter2@[::1:3128",
    "socks5://u:hunter2@proxy:1080",
    "SOCKS5H://u:hunter2@proxy",
    "ftp://u:hunter2@proxy",
]


@pytest.mark.parametrize("address", BAD_PROXIES)
@pytest.mark.parametrize("place", ["--proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxys_address_that_is_none(address: str, place: str) -> None:
    given = address if place == "--proxy" else None
    with pytest.raises(ValueError, match="must look like http://proxy") as error:
        proxy_of("https://airflow", given, {place: address})
    said = str(error.value)
    assert "hunter2" not in said
    assert place in said
    assert ("SOCKS proxy" in said) is address.lower().startswith("socks")


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://airflow", {}, None),
        ("https://airflow", {"HTTPS_PROXY": ""}, None),
        ("https://airflow", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://airflow", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("http://airflow", {"HTTPS_PROXY": "http://p:1", "http_proxy": "http://p:2"}, "http://p:2"),
        ("HTTPS://airflow", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://airflow", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("https://airflow", {"ALL_PROXY": "http://p:1", "https_proxy": "http://p:2"}, "http://p:2"),
        ("https://airflow", {"ALL_PROXY": "socks5://p", "NO_PROXY": "airflow"}, None),
        ("https://a.b.example", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x, .b.example"}, None),
        ("https://10.1.2.3:8080", {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://airflow:8080", {"HTTPS_PROXY": "http://p", "NO_PROXY": "airflow:8080"}, None),
        ("https://airflow", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "flow, ,"}, "http://p:1"),
        ("https://airflow", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    ],
)
def test_the_proxy_of_the_environment(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_of(url, None, environ) == proxy
    assert proxy_of(url, "http://mine:1", environ) == "http://mine:1"
