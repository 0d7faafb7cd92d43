"""Answers of an Airflow, or of a proxy before it, that do not do what was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED = {"__classname__", "__version__", "__data__", "__id__", "__cache__"}
RESERVED |= {"__type", "__source", "__var"}

Way = Literal["answer", "refuse", "reset", "stall", "drip", "truncate"]
UNANSWERED: tuple[Way, ...] = ("refuse", "reset", "stall")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is sent as JSON unless it is text."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    then_reset: bool = False
    """Reset the connection at its next request, as uvicorn does after an unhandled error."""


@dataclass(frozen=True)
class Fault:
    """A request that is not answered well. `refuse` closes the connection without an answer,
    `reset` resets it, `drip` sends a body that never ends, `truncate` half of a body. `commits`
    says that Airflow does what was asked all the same."""

    way: Way
    commits: bool = False
    answer: Answer = Answer(500)


def answering(status: int, body: Any, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault("answer", answer=Answer(status, body, named))


def detail(text: object) -> dict[str, object]:
    return {"detail": text}


PAGE = "<!doctype html><html><title>Sign in</title></html>"
CRASH = Answer(500, "Internal Server Error", then_reset=True)

CLOSED = Fault("refuse")
RESET = Fault("reset")
RESET_AFTER_COMMIT = Fault("reset", commits=True)
STALL = Fault("stall")
STALL_AFTER_COMMIT = Fault("stall", commits=True)
DRIP = Fault("drip", commits=True)
TRUNCATED = Fault("truncate", commits=True)
EXPIRED = answering(401, detail("Token Expired"))
INVALID_TOKEN = answering(403, detail("Invalid JWT token"))
FORBIDDEN = answering(403, detail("Forbidden"))
TOO_LARGE = answering(413, PAGE)
TOO_MANY = answering(429, detail("slow down"), Retry_After="7")
UNAVAILABLE = answering(503, PAGE)
BAD_GATEWAY = answering(502, PAGE)
LOGIN_PAGE = answering(200, PAGE)
REDIRECT = answering(302, "", Location="/auth/login")
REFUSED = answering(422, detail([{"loc": ["body"], "msg": "Value error, no"}]))
DATABASE_LOCK = answering(500, detail({"reason": "Database error", "statement": "hidden"}))
NO_TASK = answering(404, detail("The Task Instance with dag_id: `shop` was not found"))
NO_XCOM = answering(404, detail("XCom entry with key: `a` not found"))
TRUNCATED_READ = Fault("truncate", answer=Answer(200, {"key": "model.shop.a", "value": None}))
CRASHED = Fault("answer", answer=CRASH)


def refusal(value: Any, path: str = "value") -> str | None:
    """Why Airflow 3.3.2 on PostgreSQL refuses the value: by its own check, or by the database's."""
    if isinstance(value, str):
        try:
            value.encode()
            decoded = json.loads(value)
        except UnicodeEncodeError:
            return "Value rejected by database"
        except ValueError:
            return "Value rejected by database" if "\0" in value else None
        return refusal(decoded, path) if isinstance(decoded, (dict, list)) else None
    if isinstance(value, dict):
        found = RESERVED & value.keys()
        if found:
            return f"Value error, XCom {path} contains reserved serialization keys: {found}"
        return next(filter(None, (refusal(v, f"{path}.{k}") for k, v in value.items())), None)
    if isinstance(value, list):
        return next(filter(None, (refusal(v, path) for v in value)), None)
    if isinstance(value, float) and value - value != 0:
        return "Value rejected by database"
    return None
