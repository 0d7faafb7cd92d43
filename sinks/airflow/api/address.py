"""Addresses as people write them. Airflow's holds no login; a proxy's may hold one."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}
HIDDEN: Final = "*****"
PROXY: Final = "DBT_RELAY_PROXY"

_HOST: Final = r"[^\s/?#:@%\\\[\]]+|\[[0-9a-fA-F:.]+\]"
_AIRFLOW: Final = re.compile(rf"(?i:https?)://(?:{_HOST})(:\d{{1,5}})?(/[^\s?#@]*)?")
_PROXY: Final = re.compile(
    rf"(?i:(https?))://(?:([^\s/?#]*)@)?({_HOST})(?::(\d{{1,5}}))?/?", re.ASCII
)
_LOGIN: Final = re.compile(r"(?:\s*[\w+.-]*:?[/\\]{2})?(.*)(?:@|%(?:25)*40)", re.DOTALL)
"""The part of an address before the last `@`, which may be percent-encoded."""


def without_login(address: str) -> str:
    """The address without login and query, to be shown. It may be wrong in any way."""
    login = _LOGIN.match(address)
    if login is None:
        return re.split(r"[?#]", address)[0]
    rest = re.split(r"[?#]", address[login.end() :])[0]
    return f"{address[: login.start(1)]}{HIDDEN}@{rest}"


def passwords(address: str) -> list[str]:
    """The password or token in an address, as it is written and as it is sent."""
    login = _LOGIN.match(address)
    if login is None:
        return []
    _, colon, password = login[1].partition(":")
    secret = password if colon else login[1]
    return [secret, unquote(secret)]


def base_url(address: str) -> str:
    """Airflow's root, from the address that the browser shows or from the API's address.

    Raises ValueError if it is no http(s) address, or has a login in it.
    """
    url = address.strip().rstrip("/")
    url = re.sub(r"/(api(/v\d+)?|home)$", "", url).rstrip("/")
    if _LOGIN.match(url):
        raise ValueError(
            "the address of Airflow must not hold a user name or password, as it is printed: set "
            "DBT_RELAY_AIRFLOW_USERNAME and DBT_RELAY_AIRFLOW_PASSWORD"
        )
    if not _AIRFLOW.fullmatch(url):
        raise ValueError(
            f"{without_login(url)!r} is not an address of Airflow: it must look like "
            "https://airflow.example.com, with no query"
        )
    return url


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address without its login, and the header that logs in."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def of(cls, address: str, source: str = "--proxy") -> Proxy:
        """Raises ValueError if it is no address of an HTTP proxy; the text names the `source`."""
        found = _PROXY.fullmatch(address.strip())
        if found is None or not 0 < int(found[4] or 1) < 65536:
            kind = "a SOCKS proxy" if address.strip().lower().startswith("socks") else "no address"
            raise ValueError(
                f"the proxy {without_login(address)!r} in {source} cannot be used ({kind}): it "
                "must look like http://proxy.example.com:3128 or http://user:password@proxy:3128, "
                "with / ? # % in the password written as %2F %3F %23 %25"
            )
        scheme, login, host, port = found.groups()
        url = f"{scheme.lower()}://{host}" + (f":{port}" if port else "")
        if not login:
            return cls(url)
        user, _, password = login.partition(":")
        pair = f"{unquote(user)}:{unquote(password)}".encode()
        return cls(url, {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"})


def proxy_of(url: str, given: str | None, environ: Mapping[str, str]) -> str | None:
    """The checked address of the proxy to Airflow: the given one, else the environment's.

    apache-airflow-client 3.3 reads the environment too, but does not log in. Raises ValueError.
    """
    if given is not None:
        Proxy.of(given, f"--proxy or {PROXY}")
        return given
    if _is_direct(url, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    for name in (f"{urlsplit(url).scheme.lower()}_proxy", "all_proxy"):
        for spelling in (name, name.upper()):
            if address := environ.get(spelling):
                Proxy.of(address, spelling)
                return address
    return None


PROXIES: Final = tuple(
    spelling
    for name in ("http_proxy", "https_proxy", "all_proxy")
    for spelling in (name, name.upper())
)


def _is_direct(url: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host, by the client's own rules."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    places = host, parts.netloc.lower()
    for entry in (word.strip().lower() for word in no_proxy.split(",")):
        if entry == "*" or (entry and _is_in_network(host, entry)):
            return True
        domain = entry.lstrip(".")
        if domain and any(p == domain or p.endswith(f".{domain}") for p in places):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses lead to the same Airflow, in whatever form they are written.

    Raises ValueError as `base_url` does.
    """
    return _normal(one) == _normal(other)


def _normal(address: str) -> tuple[str, str, int, str]:
    parts = urlsplit(base_url(address))
    scheme = parts.scheme.lower()
    host = (parts.hostname or "").rstrip(".")
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return scheme, host, parts.port or _PORTS[scheme], parts.path
