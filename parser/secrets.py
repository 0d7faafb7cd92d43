"""Masks secrets, and repairs dbt's own masking.

dbt (1.7 to 1.12) replaces the values of `DBT_ENV_SECRET_*` by `*****` in the finished JSON text. A
short value destroys the JSON in this way (`"`, `true`, `node`). A value whose JSON escape differs
from its text (quotes, backslashes, non-ASCII) stays as it is.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ..records.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MASK: Final = "*****"
_MASK_BYTES: Final = MASK.encode()

_FRAGILE_LENGTH: Final = 24
"""Bytes of the longest secret that may break an event. No key, event name or status of dbt has more
(`GenericExceptionOnRun` has 21)."""

_SHORT: Final = 4
"""A shorter value is masked only as a whole word: a text without its letters `a` is unreadable."""

_IDENTITY: Final = frozenset(
    {
        "artifact_path", "completed_at", "invocation_id", "level", "materialized", "name",
        "node_finished_at", "node_started_at", "node_status", "resource_type", "started_at",
        "status", "ts", "unique_id",
    }
)  # fmt: skip
_FREE: Final = frozenset({"adapter_response", "meta"})
"""Objects whose keys come from the warehouse or the user."""

_COMMANDS: Final = frozenset(
    {
        "dbt", "build", "clean", "clone", "compile", "debug", "deps", "docs", "freshness",
        "generate", "init", "list", "ls", "parse", "retry", "run", "run-operation", "seed", "show",
        "snapshot", "source", "test",
    }
)  # fmt: skip
_OPTION: Final = re.compile(r"--[a-z]+(?:-[a-z]+)*(?=\Z|=)")
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


class Secrets:
    """The secret values of a run: masks them, and undoes a masking that broke the JSON.

    dbt masks `values` itself. `own` are secrets that dbt does not know.
    """

    def __init__(self, values: Iterable[str] = (), *, own: Iterable[str] = ()) -> None:
        scrubbed = sorted({v for v in values if v.strip()}, key=len, reverse=True)
        known = [*scrubbed, *(v for v in own if v.strip())]
        self._spellings = sorted({s for v in known for s in _spellings(v)}, key=len, reverse=True)
        self._encoded = {_bytes(s) for s in self._spellings}
        self._fragile = [raw for v in scrubbed if len(raw := _bytes(v)) <= _FRAGILE_LENGTH]

    def __bool__(self) -> bool:
        return bool(self._spellings)

    def restored(self, line: bytes) -> Iterator[bytes]:
        """The lines that a masked line may have been, one for each secret that may break JSON."""
        if _MASK_BYTES in line:
            for raw in self._fragile:
                yield line.replace(_MASK_BYTES, raw)

    def occur_in(self, line: bytes) -> bool:
        """Whether the line still holds a secret, in any spelling."""
        return any(secret in line for secret in self._encoded)

    def mask(self, value: Any, *, is_free: bool = False) -> Any:
        """A decoded JSON value with the secrets in its texts masked.

        Identities stay, because to mask a unique_id (with a secret `node`, say) would lose the
        node. Times and the paths of artifacts stay too. With `is_free` the value has no identities,
        and the keys of its objects are masked as well.
        """
        masked: list[Any] = [value]
        # No recursion: a value from a file may be as deep as the decoder allows.
        left: list[tuple[Any, Any, bool]] = [(masked, 0, is_free)]
        while left:
            into, at, free = left.pop()
            found = into[at]
            if isinstance(found, str):
                into[at] = self.mask_text(found)
            elif is_array(found):
                into[at] = [*found]
                left += ((into[at], place, free) for place in range(len(found)))
            elif is_object(found) and free:
                into[at] = {self.mask_text(key): inner for key, inner in found.items()}
                left += ((into[at], key, True) for key in into[at])
            elif is_object(found):
                into[at] = {**found}
                left += ((into[at], key, key in _FREE) for key in found if key not in _IDENTITY)
        return masked[0]

    def mask_text(self, text: str) -> str:
        """The text with every secret masked, also where two of them overlap."""
        found = [s for s in self._spellings if s in text]
        if not found:
            return text
        if len(found) == 1 and len(found[0]) >= _SHORT:
            return text.replace(found[0], MASK)
        # The longest secret at each place. Spans may overlap, and each must vanish up to its end.
        anywhere = re.compile(f"(?=({'|'.join(map(_pattern, found))}))")
        masked, done = list[str](), 0
        for match in anywhere.finditer(text):
            start, end = match.span(1)
            if start >= done:
                masked += (text[done:start], MASK)
            done = max(done, end)
        return "".join((*masked, text[done:]))

    def mask_line(self, line: bytes) -> bytes:
        """A line of unknown encoding with every secret masked."""
        if not self.occur_in(line):
            return line
        return _bytes(self.mask_text(line.decode("utf-8", "surrogateescape")))

    def mask_command(self, command: Sequence[str]) -> tuple[str, ...]:
        """The words of a command with every secret masked.

        dbt's name, its subcommands and the names of its options stay: they are public.
        """
        return tuple(self._mask_word(word) for word in command)

    def _mask_word(self, word: str) -> str:
        if word in _COMMANDS:
            return word
        name = _OPTION.match(word)
        start = name.end() if name is not None else 0
        return word[:start] + self.mask_text(word[start:])

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end of `data` may begin a secret."""
        longest = max(map(len, self._encoded), default=1) - 1
        for size in range(min(longest, len(data)), 0, -1):
            end = data[-size:]
            if any(secret.startswith(end) for secret in self._encoded):
                return size
        return 0


def _spellings(value: str) -> Iterator[str]:
    """A value as texts may spell it: plain, in a JSON or Python string, in a URL.

    Each line of a value with several lines is a spelling too, because dbt indents lines. Blanks
    around the value are not secret.
    """
    text = value.strip()
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    for digits in ("%{:02X}", "%{:02x}"):
        quoted = _quoted(text, digits)
        yield quoted
        yield quoted.replace("%20", "+")
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _SHORT)


def _quoted(text: str, digits: str) -> str:
    """The text in a URL."""
    return "".join(chr(b) if b in _UNRESERVED else digits.format(b) for b in _bytes(text))


def _pattern(spelling: str) -> str:
    pattern = re.escape(spelling)
    return pattern if len(spelling) >= _SHORT else rf"(?<!\w){pattern}(?!\w)"


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return text.encode("utf-8", "surrogatepass")
