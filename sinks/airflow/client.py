"""Requests to Airflow's stable REST API; the one module that imports apache-airflow-client.

That import takes more than a second and 67 MB (client 3.3), so this module is imported by the
thread that delivers, when it has its first record.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

import urllib3.exceptions as http
from airflow_client.client import ApiClient, ApiException, Configuration, XComApi
from airflow_client.client.models.x_com_create_body import XComCreateBody
from airflow_client.client.models.x_com_update_body import XComUpdateBody

from ..base import Hold, Retry
from .answers import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from .answers import Method
    from .settings import AirflowSettings

_BODY_LIMIT: Final = 64 * 1024
_SHOWN: Final = 200


class Client:
    """Speaks to one Airflow. One request at a time and thread; no retries, no redirects."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        options: dict[str, Any] = {"retries": False}
        if settings.ca_file is not None:
            options["ssl_ca_cert"] = str(settings.ca_file)
        if settings.proxy is not None:
            options["proxy"] = settings.proxy
        self._configuration = Configuration(host=settings.url, **options)
        self._api = ApiClient(self._configuration)
        self._xcoms = XComApi(self._api)
        self._timeout = (settings.connect_timeout, settings.read_timeout)

    def write(
        self, method: Method, key: str, value: dict[str, Any], token: str
    ) -> Answer | Retry | Hold:
        """POST or PATCH one XCom; a failure to get any answer is a verdict."""
        to = self._to
        self._configuration.access_token = token
        place: dict[str, Any] = {
            "dag_id": to.dag_id,
            "dag_run_id": to.run_id,
            "task_id": to.task_id,
        }
        try:
            if method == "POST":
                # The variants that do not read the answer also work with Airflow 3.0, whose
                # answers lack fields that the client's models require.
                create = XComCreateBody(key=key, value=value, map_index=to.map_index)
                response = self._xcoms.create_xcom_entry_without_preload_content(
                    **place, x_com_create_body=create, _request_timeout=self._timeout
                )
            else:
                update = XComUpdateBody(value=value, map_index=to.map_index)
                response = self._xcoms.update_xcom_entry_without_preload_content(
                    **place, xcom_key=key, x_com_update_body=update, _request_timeout=self._timeout
                )
            return self._answer(response)
        except http.HTTPError as error:
            return self._unanswered(error)
        except ApiException as error:  # the client's wrapping of a TLS error
            return self._unanswered(error.__context__ or error)

    def log_in(self, username: str, password: str) -> str | Retry | Hold:
        """A token for a user name and password."""
        body = json.dumps({"username": username, "password": password})
        answer = self._plain("POST", "/auth/token", body)
        if not isinstance(answer, Answer):
            return answer
        if answer.status in (400, 401, 403):
            return Hold(
                f"Airflow at {self._to.url} does not accept this user name and password "
                f"({answer.detail or answer.status}): see DBT_RELAY_AIRFLOW_USERNAME and _PASSWORD"
            )
        try:
            return str(json.loads(answer.body)["access_token"])
        except (ValueError, TypeError, KeyError):
            reason = f"Airflow at {self._to.url} gave no token: it answered {answer.status}"
            if answer.status >= 500 or answer.status == 429:
                return Retry(reason)
            return Hold(
                f"{reason} to /auth/token. Check DBT_RELAY_AIRFLOW_URL, or give a token instead: "
                "not every Airflow exchanges passwords"
            )

    def version(self) -> str | None:
        """Airflow's version, None if it does not tell."""
        answer = self._plain("GET", "/api/v2/version")
        try:
            return str(json.loads(answer.body)["version"]) if isinstance(answer, Answer) else None
        except (ValueError, TypeError, KeyError):
            return None

    def close(self) -> None:
        """Drop the connections."""
        pool: Any = self._api.rest_client.pool_manager
        pool.clear()

    def _plain(self, method: str, path: str, body: str | None = None) -> Answer | Retry | Hold:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        pool: Any = self._api.rest_client.pool_manager
        try:
            response = pool.request(
                method,
                self._to.url + path,
                body=body,
                headers=headers,
                timeout=http_timeout(self._timeout),
                preload_content=False,
                redirect=False,
            )
            return self._answer(response)
        except http.HTTPError as error:
            return self._unanswered(error)

    def _answer(self, response: Any) -> Answer:
        """Read the answer, but no longer and no more than it is worth.

        An unread rest would be taken for the next answer: the connection goes with it.
        """
        headers = response.headers
        body = bytearray()
        give_up_at = time.monotonic() + self._to.answer_timeout
        try:
            while len(body) < _BODY_LIMIT and time.monotonic() < give_up_at:
                chunk = response.read1(_BODY_LIMIT)
                if not chunk:
                    break
                body += chunk
            else:
                response.close()
        except http.HTTPError:
            response.close()
        response.release_conn()
        if response.status >= 500:
            # uvicorn resets the connection at the next request (Airflow 3.3).
            self.close()
        return Answer(
            response.status,
            bytes(body),
            headers.get("Content-Type", ""),
            headers.get("Retry-After"),
        )

    def _unanswered(self, error: BaseException) -> Retry | Hold:
        where = f"Airflow at {self._to.url}"
        cause = error
        if isinstance(error, http.MaxRetryError) and error.reason is not None:
            cause = error.reason
        if isinstance(cause, http.ProxyError):
            if " 407 " in f"{cause.original_error} ":
                return Hold(f"the proxy to {where} wants a login: see --proxy and HTTPS_PROXY")
            return Retry(f"the proxy to {where} cannot be reached: see --proxy and HTTPS_PROXY")
        if isinstance(cause, http.SSLError):
            return self._insecure(str(cause), where)
        if isinstance(cause, http.LocationValueError):
            return Hold(f"{where} is no address that can be called: see DBT_RELAY_AIRFLOW_URL")
        if isinstance(cause, http.NameResolutionError):
            return Retry(f"{where} cannot be found: its host name does not resolve")
        if isinstance(cause, (http.NewConnectionError, http.ConnectTimeoutError)):
            return Retry(f"{where} cannot be reached: is the address right and the API server up?")
        if isinstance(cause, http.ReadTimeoutError):
            return Retry(f"{where} did not answer within {self._to.read_timeout:g} s")
        return Retry(f"the connection to {where} broke off ({type(cause).__name__})")

    def _insecure(self, words: str, where: str) -> Retry | Hold:
        """What OpenSSL's words mean."""
        refused = re.search(r"certificate verify failed: (.+?)\.? \(_ssl", words)
        if refused is not None:
            why = refused[1][:_SHOWN]
            return Hold(
                f"{where} has a certificate that is not trusted here ({why}): "
                "see --ca-file, and --airflow-url for the host name"
            )
        if "WRONG_VERSION_NUMBER" in words:
            return Hold(f"{where} does not speak TLS: should the address begin with http://?")
        if self._to.ca_file is not None and _is_unreadable(self._to.ca_file):
            return Hold(f"{self._to.ca_file} holds no certificates that can be read: see --ca-file")
        return Retry(f"TLS with {where} failed: is there a TLS server, and is --ca-file right?")


def _is_unreadable(ca_file: Path) -> bool:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:  # ssl.SSLError is one
        return True
    return False


def http_timeout(timeouts: tuple[float, float]) -> Any:
    """A connect and a read timeout as urllib3 wants them."""
    from urllib3 import Timeout  # noqa: PLC0415 - beside the exceptions, the only name needed

    return Timeout(connect=timeouts[0], read=timeouts[1])
