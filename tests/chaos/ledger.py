"""What the server committed and was asked: a file that outlives it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class State:
    """What a ledger comes to. `xcoms` are those of task `dbt`; `writes` counts the requests that
    were to write one, `commits` those that did."""

    xcoms: dict[str, Any] = field(default_factory=dict)
    try_number: int = 1
    valid: dict[str, str] | None = None
    expired: set[str] = field(default_factory=set)
    is_calm: bool = False
    is_closed: bool = False
    requests: int = 0
    writes: int = 0
    commits: int = 0

    def apply(self, entry: dict[str, Any]) -> None:
        match entry["what"]:
            case "request":
                self.requests += 1
                self.writes += "key" in entry
                if "value" in entry:
                    self.commits += 1
                    self.xcoms[entry["key"]] = entry["value"]
            case "tokens":
                self.valid, self.expired = entry["valid"], set(entry["expired"])
            case "next try":
                self.try_number += 1
            case "clear":
                self.xcoms.clear()
            case "close" | "open":
                self.is_closed = entry["what"] == "close"
            case "calm":
                self.is_calm, self.is_closed = True, False
            case other:
                raise AssertionError(f"no such entry: {other}")


class Ledger:
    """Appends entries, each with one write: once that has returned, SIGKILL cannot undo it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, **details: Any) -> None:
        os.write(self._file, json.dumps({"what": what, **details}).encode() + b"\n")


class Reader:
    """Follows a ledger while it is written; `state()` is what it comes to so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._state = State()

    def state(self) -> State:
        if not self._path.exists():
            return self._state
        with self._path.open("rb") as file:
            file.seek(self._at)
            news = file.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            self._state.apply(json.loads(line))
        return self._state
