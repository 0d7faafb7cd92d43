"""Why a request got no answer, in words that say what to do."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final

import urllib3.exceptions as http

from ...sink import Hold, Retry
from .answers import refused_by_proxy

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import AirflowSettings

_SHOWN: Final = 200


def why_no_answer(error: BaseException, to: AirflowSettings) -> Retry | Hold:
    """What an error of urllib3 means for the request that it ended."""
    where = f"Airflow at {to.url}"
    cause = error
    if isinstance(error, http.MaxRetryError) and error.reason is not None:
        cause = error.reason
    if isinstance(cause, http.ProxyError):
        if " 407 " in f"{cause.original_error} ":
            return refused_by_proxy(to)
        return Retry(f"the proxy to {where} cannot be reached: see --proxy and HTTPS_PROXY")
    if isinstance(cause, http.SSLError):
        return _tls_failure(str(cause), where, to.ca_file)
    if isinstance(cause, http.LocationValueError):
        return Hold(f"{where} cannot be called: see DBT_RELAY_AIRFLOW_URL")
    if isinstance(cause, http.NameResolutionError):
        return Retry(f"{where} cannot be found: its host name does not resolve")
    if isinstance(cause, (http.NewConnectionError, http.ConnectTimeoutError)):
        return Retry(f"{where} cannot be reached: is the address right and the API server up?")
    if isinstance(cause, http.ReadTimeoutError):
        return Retry(f"{where} did not answer within {to.read_timeout:g} s")
    return Retry(f"the connection to {where} broke off ({type(cause).__name__})")


def _tls_failure(words: str, where: str, ca_file: Path | None) -> Retry | Hold:
    """What OpenSSL's error text means."""
    refused = re.search(r"certificate verify failed: (.+?)\.? \(_ssl", words)
    if refused is not None:
        why = refused[1][:_SHOWN]
        return Hold(
            f"{where} has a certificate that is not trusted here ({why}): "
            "see --ca-file, and --airflow-url for the host name"
        )
    if "WRONG_VERSION_NUMBER" in words:
        return Hold(f"{where} does not speak TLS: should the address begin with http://?")
    if ca_file is not None and _is_unreadable(ca_file):
        return Hold(f"{ca_file} holds no certificates that can be read: see --ca-file")
    return Retry(f"TLS with {where} failed: is there a TLS server, and is --ca-file right?")


def _is_unreadable(ca_file: Path) -> bool:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:  # ssl.SSLError is one
        return True
    return False
