"""The key of an XCom, which every Airflow can pull, clear and store, and the value of an XCom.

Airflow's task SDK does not quote a key in a URL. Some characters make a key impossible to pull, and
some make the next retry of the task fail at its start (Airflow 3.3).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

MAX_KEY: Final = 512
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_RESERVED: Final = frozenset({"return_value", "dbt_relay_run", ".", ".."})
_DIGEST: Final = 64
_ENCODINGS: Final = 2


def xcom_key(unique_id: str, prefix: str = "") -> str:
    """The key of a node: its unique_id if that has only characters of `[A-Za-z0-9_.-]`.

    Any other character becomes `:` and two hexadecimal digits for each byte of its UTF-8. A key
    that would be too long ends in `:h` and a SHA-256. Different ids have different keys.
    """
    key = unique_id
    if not _PLAIN.fullmatch(key):
        key = "".join(c if _PLAIN.fullmatch(c) else _escape(c) for c in key) or ":"
    if key in _RESERVED or prefix + key in _RESERVED:
        key = _escape(key[0]) + key[1:]
    room = MAX_KEY - len(prefix)
    if len(key) > room:
        digest = hashlib.sha256(unique_id.encode("utf-8", "surrogatepass")).hexdigest()
        key = f"{key[: room - _DIGEST - 2]}:h{digest}"
    return prefix + key


def check_prefix(prefix: str) -> None:
    """Raises ValueError if Airflow could not pull keys with this prefix."""
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{0,200}", prefix):
        raise ValueError(
            f"the key prefix {prefix!r} must be at most 200 characters of A-Z a-z 0-9 _ . : -"
        )


def xcom_value(value: Any) -> Any:
    """The value of an XCom as its writer sent it.

    Airflow 3.0 and 3.1 store a value of the API as JSON text, encoded once by a POST and twice by a
    PATCH (apache/airflow#58900, fixed in 3.2).
    """
    for _ in range(_ENCODINGS):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def _escape(character: str) -> str:
    return "".join(f":{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
