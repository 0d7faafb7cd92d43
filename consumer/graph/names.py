"""The names of nodes in a selection: `orders`, `marts.orders`, `stg_*`, `orders.v2`."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .manifest import Node


_PLAIN: Final = re.compile(r"[\w.-]+")
_NOT_PLAIN: Final = re.compile(r"[^\w.-]")
_NOT_PLAIN_PART: Final = re.compile(r"[^\w-]")


def exact_term(name: str) -> str:
    """A term that selects one fully qualified name, and hardly any other.

    Each special character becomes the wildcard `?`. The last character goes into brackets, because
    `fqn:shop.orders` would also select every node in a folder `orders`.
    """
    plain = _NOT_PLAIN.sub("?", name)
    return f"fqn:{plain}" if plain.endswith("?") else f"fqn:{plain[:-1]}[{plain[-1]}]"


def source_term(node: Node) -> str:
    """The term that selects one table of a source. Each special character becomes `?`."""
    parts = (node.package_name, node.source_name or "", node.name)
    return "source:" + ".".join(_NOT_PLAIN_PART.sub("?", part) for part in parts)


def terms_of(node: Node) -> Iterator[str]:
    """Terms that may select only this node, the plainest first.

    The later ones distinguish it from a package, a folder or another node of the same name.
    """
    if node.resource_type == "source":
        yield source_term(node)
        return
    name = ".".join(node.fqn)
    if _PLAIN.fullmatch(name):
        yield name
    exact = exact_term(name)
    yield exact
    of_kind = f"{exact},resource_type:{node.resource_type}"
    yield of_kind
    yield f"{of_kind},package:{node.package_name}"
    if _PLAIN.fullmatch(node.path.replace("/", ".")):
        yield f"{of_kind},package:{node.package_name},path:{node.path}"


class Names:
    """Finds nodes by their fully qualified names: package, folders, name and perhaps version.

    With `bare_names` a pattern without dots also matches the name alone, as in dbt 1.11.16, 1.12.6
    and later. In earlier versions `stg_*` finds no model in a folder.
    """

    def __init__(self, nodes: Iterable[Node], *, bare_names: bool) -> None:
        self._nodes = tuple(nodes)
        self._bare_names = bare_names
        self._exact = index(
            (name, node.unique_id)
            for node in self._nodes
            for name in {_bare_name(node), *_beginnings(node.fqn), *_beginnings(node.fqn[1:])}
        )
        self._versions = index(
            ("_".join(n.fqn[-2:]), n.unique_id) for n in self._nodes if n.version is not None
        )

    def find(self, name: str) -> Iterator[str]:
        """The unique_ids for a name, a folder (every node in it), or both joined by dots.

        The package may precede them. For `name.v2` and `name_v2` dbt compares only the end, so any
        package matches.
        """
        if is_pattern(name):
            yield from self._like(name)
        else:
            yield from self._exact.get(name, ())
            yield from self._versions.get("_".join(name.split(".")[-2:]), ())

    def _like(self, pattern: str) -> Iterator[str]:
        """dbt compares the parts before the first wildcard one by one, and the rest as a whole."""
        parts = pattern.split(".")
        plain = next(i for i, part in enumerate(parts) if is_pattern(part))
        start = "".join(f"{part}." for part in parts[:plain])
        matches = matcher(".".join(parts[plain:]))
        matches_bare = matches if self._bare_names and len(parts) == 1 else None
        for node in self._nodes:
            for fqn in (node.fqn, node.fqn[1:]):
                name = ".".join(fqn)
                is_as_deep = name.count(".") >= len(parts) - 1
                if is_as_deep and name.startswith(start) and matches(name[len(start) :]):
                    yield node.unique_id
                    break
            else:
                if matches_bare and matches_bare(_bare_name(node)):
                    yield node.unique_id


def _bare_name(node: Node) -> str:
    """The name alone. The fqn of a versioned model ends with the version."""
    return node.fqn[-1] if node.version is None else node.fqn[-2:][0]


def _beginnings(fqn: Sequence[str]) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of an fqn. A dot inside a name divides it too."""
    parts = ".".join(fqn).split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[]")


def matcher(pattern: str) -> Callable[[str], Any]:
    """A function that matches a text with this pattern of the wildcards `*`, `?` and `[…]`."""
    return re.compile(fnmatch.translate(pattern)).match


def index(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The second values of the pairs, by their first values."""
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
