"""A stand-in for dbt: `build`, `retry` and `ls` of a small project, with the log of dbt 1.11."""

from __future__ import annotations

import fnmatch
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_relay.cli.dbt.arguments import DbtArguments

from .project import Built, listed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping

    from .project import Node, Project, Warehouse

RETRYABLE = ("error", "fail", "skipped")


@dataclass
class StandIn:
    """One call of dbt; `by` is the run of the task for which it builds."""

    project: Project
    warehouse: Warehouse
    environ: Mapping[str, str]
    target_dir: Path
    by: Any
    rng: random.Random

    def ls(self, argv: tuple[str, ...]) -> str:
        parts = DbtArguments.of(argv)
        assert parts is not None
        assert parts.subcommand == "ls"
        return listed(self._selected(parts))

    def run(self, argv: tuple[str, ...], fails: Callable[[Node], bool]) -> Iterator[bytes]:
        """The lines of its log; what a line tells has been done. Its exit code is `code`."""
        parts = DbtArguments.of(argv)
        assert parts is not None
        if parts.subcommand == "retry":
            nodes = self._of_file(parts)
        else:
            assert parts.subcommand == "build", argv
            nodes = self._selected(parts)
        yield from self._build(nodes, fails, parts.has({"--fail-fast"}))

    def _build(
        self, nodes: list[Node], fails: Callable[[Node], bool], is_fast: bool
    ) -> Iterator[bytes]:
        log = _Log(self.rng)
        yield log.line("MainReportVersion", version="=1.11.16", log_version=3)
        results: dict[str, str] = {}
        is_stopped = False
        for at, node in enumerate(nodes, 1):
            if is_stopped:
                results[node.unique_id] = "skipped"
                continue
            if self._blockers(node) & {u for u, s in results.items() if s in RETRYABLE}:
                results[node.unique_id] = "skipped"
                yield log.line("NodeStart", node)
                yield log.line("SkippingDetails", node, index=at, total=len(nodes))
                yield log.end(node, "skipped", "")
                continue
            yield log.line("LogStartLine", node, index=at, total=len(nodes))
            yield log.line("NodeStart", node)
            if self.rng.random() < 0.02:  # what it does not come to tell
                self._make(node)
            missing = [p for p in node.parents if self._there(p) is None]
            if fails(node) or missing:
                status = "fail" if node.is_test else "error"
            else:
                self._make(node)
                status = "pass" if node.is_test else "success"
            results[node.unique_id] = status
            yield log.end(node, status, "no" if status in RETRYABLE else "OK")
            is_stopped = is_fast and status in RETRYABLE
        if is_stopped:  # and what ended meanwhile the file calls skipped as well
            done = [u for u, s in results.items() if s == "success"]
            results |= dict.fromkeys(done[-1:], "skipped")
        self._write(log.invocation_id, results)
        path = str(self.target_dir / "run_results.json")
        yield log.line("ArtifactWritten", artifact_path=path, artifact_type="RunExecutionResult")
        self.code = int(any(s in RETRYABLE for s in results.values()))

    def _make(self, node: Node) -> None:
        parents = (self._there(p) for p in node.parents)
        content = (node.code, *(p.content if p is not None else None for p in parents))
        self.warehouse[self._target, node.name] = Built(self.by, content)

    def _there(self, name: str) -> Built | None:
        """A table; one that the command does not select is somebody else's, and there."""
        if not self.project.nodes[name].is_daily:
            return Built(None, self.project.content(name))
        return self.warehouse.get((self._target, name))

    @property
    def _target(self) -> str:
        return self.environ.get("DBT_TARGET", "dev")

    def _blockers(self, node: Node) -> set[str]:
        """The nodes whose failure makes dbt skip this one: its parents, and their tests."""
        nodes = self.project.nodes
        parents = {nodes[p].unique_id for p in node.parents}
        if node.is_test:
            return parents
        return parents | {
            n.unique_id for n in nodes.values() if n.is_test and {*n.parents} & {*node.parents}
        }

    def _selected(self, parts: DbtArguments) -> list[Node]:
        options = (*parts.before, *parts.options)
        terms = [v for o in options if o.name in ("--select", "-s") for v in o.values]
        is_exact = any("empty" in o.values for o in options if o.name == "--indirect-selection")
        found = {n.name for n in self.project.nodes.values() if not terms or _fits(n, terms)}
        nodes = self.project.in_order()
        if not is_exact:
            found |= {n.name for n in nodes if n.is_test and found & {*n.parents}}
        return [n for n in nodes if n.name in found]

    def _of_file(self, parts: DbtArguments) -> list[Node]:
        states = [o.values[0] for o in parts.options if o.name == "--state"]
        place = Path(states[-1]) if states else self.target_dir
        document = json.loads((place / "run_results.json").read_text())
        wanted = {r["unique_id"] for r in document["results"] if r["status"] in RETRYABLE}
        return [n for n in self.project.in_order() if n.unique_id in wanted]

    def _write(self, invocation_id: str, results: Mapping[str, str]) -> None:
        self.target_dir.mkdir(parents=True, exist_ok=True)
        document = {
            "metadata": {"invocation_id": invocation_id},
            "results": [{"unique_id": u, "status": s} for u, s in results.items()],
        }
        (self.target_dir / "run_results.json").write_text(json.dumps(document))


def _fits(node: Node, terms: list[str]) -> bool:
    for term in terms:
        if term == "tag:daily" and node.is_daily and not node.is_test:
            return True
        if term.startswith("fqn:") and fnmatch.fnmatchcase(f"shop.{node.name}", term[4:]):
            return True
    return False


class _Log:
    """The events of one invocation, as lines of JSON."""

    def __init__(self, rng: random.Random) -> None:
        self.invocation_id = str(uuid.UUID(int=rng.getrandbits(128)))

    def line(self, name: str, node: Node | None = None, /, **data: Any) -> bytes:
        if node is not None:
            data["node_info"] = {
                "unique_id": node.unique_id,
                "node_name": node.name,
                "resource_type": "test" if node.is_test else "model",
                "node_checksum": node.checksum,
                "node_status": "started",
                "node_started_at": "2026-01-02T03:04:05.000001",
            }
        info = {
            "name": name,
            "invocation_id": self.invocation_id,
            "level": "debug",
            "msg": name,
            "ts": "2026-01-02T03:04:05.000001Z",
            "pid": 1,
            "thread": "MainThread",
        }
        return json.dumps({"data": data, "info": info}, sort_keys=True).encode() + b"\n"

    def end(self, node: Node, status: str, message: str) -> bytes:
        result = {"status": status, "message": message, "execution_time": 0.1, "thread": "T"}
        return self.line("NodeFinished", node, run_result=result)
