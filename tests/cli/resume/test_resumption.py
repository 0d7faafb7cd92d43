"""Which way a second attempt goes, and what it publishes again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from support.resuming import (
    AS_JSON,
    MODELS,
    SELECTED,
    STATUSES,
    Ls,
    names,
    previous,
    record,
    resumed,
    write_results,
)
from support.settings import TASK

from dbt_relay.cli.process.signals import Signals
from dbt_relay.cli.resume.listing import LsOutput
from dbt_relay.cli.resume.resumption import PreviousAttempt, Resumption, resume
from dbt_relay.cli.resume.this_attempt import resumption_of
from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks import Journal, RunInfo


class TestRetry:
    def test_where_dbt_knows_how_it_ended(self, tmp_path: Path) -> None:
        write_results(tmp_path, STATUSES)
        found = resumed(previous(target_dir=tmp_path), target=str(tmp_path))
        assert found.command == ("dbt", "retry")
        assert found.remark == "resuming attempt 1 with dbt retry: 3 nodes had succeeded"

    def test_publishes_again_what_dbt_will_not_run(self, tmp_path: Path) -> None:
        write_results(tmp_path, STATUSES)
        found = resumed(previous(target_dir=tmp_path), target=str(tmp_path))
        assert [r.unique_id for r in found.carried] == [
            "seed.shop.raw",
            "model.shop.a",
            "test.shop.of_a",
        ]
        assert {(r.attempt, r.resumed_from, r.invocation_id) for r in found.carried} == {
            (2, 1, "i-1")
        }

    def test_takes_what_dbt_retry_does_not_take_from_its_file(self, tmp_path: Path) -> None:
        write_results(tmp_path, STATUSES)
        command = (
            "uv run dbt --warn-error build -s a+ --exclude b --full-refresh --project-dir p"
            " --profiles-dir q --target prod --vars '{x: 1}' --threads 8 --log-path l --quiet"
        )
        found = resumed(previous(command, target_dir=tmp_path), None, command, str(tmp_path))
        assert [*found.command] == shlex.split(
            "uv run dbt --warn-error retry --project-dir p --profiles-dir q --target prod"
            " --vars '{x: 1}' --threads 8 --log-path l --quiet"
        )

    def test_from_another_target_folder(self, tmp_path: Path) -> None:
        write_results(tmp_path, STATUSES)
        found = resumed(previous(target_dir=tmp_path))
        assert found.command == ("dbt", "retry", "--state", str(tmp_path))

    def test_of_a_retry(self, tmp_path: Path) -> None:
        """The file of a `dbt retry` has only what that ran."""
        records = dict(previous().records)
        for done in ("seed.shop.raw", "model.shop.a"):
            records[done] = record(done, "success", attempt=2, resumed_from=1)
        mine = {u: s for u, s in STATUSES.items() if records[u].resumed_from is None}
        write_results(tmp_path, mine)
        found = resume(
            ("dbt", "build"),
            previous(attempt=2, records=records, target_dir=tmp_path),
            attempt=3,
            target_dir=tmp_path,
            run_ls=Ls(*SELECTED),
        )
        assert found.command == ("dbt", "retry")
        assert {r.unique_id: r.resumed_from for r in found.carried} == {
            "seed.shop.raw": 1,
            "model.shop.a": 1,
            "test.shop.of_a": 1,
        }

    @pytest.mark.parametrize(
        ("why", "known", "statuses"),
        [
            ("was killed", {"exit_code": None}, STATUSES),
            ("ended with 2", {"exit_code": 2}, STATUSES),
            ("is gone", {}, None),
            ("is gone", {"invocation_ids": ("i-0",)}, STATUSES),
            ("exactly once", {"invocation_ids": ("i-0", "i-1")}, STATUSES),
            # --fail-fast: dbt's file calls skipped what its log shows succeeding.
            ("do not agree on model.shop.a", {}, {**STATUSES, "model.shop.a": "skipped"}),
            # Ctrl-C: what was cancelled is not in the file.
            (
                "do not agree on model.shop.b",
                {},
                {u: s for u, s in STATUSES.items() if u != "model.shop.b"},
            ),
            ("do not agree on model.shop.b", {}, {**STATUSES, "model.shop.b": "success"}),
        ],
    )
    def test_is_not_trusted_where_dbts_file_is_not_whole(
        self, tmp_path: Path, why: str, known: dict[str, Any], statuses: dict[str, str] | None
    ) -> None:
        if statuses is not None:
            write_results(tmp_path, statuses)
        found = resumed(previous(target_dir=tmp_path, **known), Ls(), target=str(tmp_path))
        assert why in str(found.remark)
        assert "--select" in found.command

    def test_does_not_mind_what_the_file_never_has(self, tmp_path: Path) -> None:
        """Ephemeral models have a record and no result."""
        write_results(tmp_path, {u: s for u, s in STATUSES.items() if u != "model.shop.a"})
        found = resumed(previous(target_dir=tmp_path), target=str(tmp_path))
        assert found.command == ("dbt", "retry")

    def test_leaves_state_to_the_command_itself(self, tmp_path: Path) -> None:
        write_results(tmp_path, STATUSES)
        command = "dbt build --defer --state prod"
        found = resumed(previous(command, target_dir=tmp_path), Ls(), command, str(tmp_path))
        assert found.command[:5] == ("dbt", "build", "--defer", "--state", "prod")


class TestSelection:
    def test_is_what_dbt_lists_without_what_is_done(self) -> None:
        ls = Ls()
        found = resumed(previous(exit_code=None), ls)
        assert [*found.command] == shlex.split(
            "dbt build --select fqn:shop.[b] fqn:shop.[c] fqn:shop.of_[b] fqn:shop.never_starte[d]"
            " --indirect-selection empty"
        )
        assert ls.calls == [f"dbt ls {AS_JSON}"]
        assert found.remark == (
            "resuming attempt 1: 3 nodes had succeeded, and the other 4 are selected by name, "
            "because dbt was killed and left no complete run_results.json"
        )
        assert len(found.carried) == 3

    def test_keeps_everything_else_and_asks_with_the_selection_alone(self) -> None:
        command = (
            "dbt --log-format json --no-version-check build --selector nightly -m x y --exclude z"
            " --indirect-selection buildable --vars '{x: 1}' --full-refresh --threads 8"
            " --resource-type model --state s --quiet --fail-fast"
        )
        ls = Ls("model.shop.a", "model.shop.b")
        found = resumed(previous(command, exit_code=None, records=MODELS), ls, command)
        assert ls.calls == [
            (
                "dbt --no-version-check ls --selector nightly --select x y --exclude z"
                " --indirect-selection buildable --vars '{x: 1}' --resource-type model --state s"
                f" {AS_JSON}"
            )
        ]
        assert [*found.command] == shlex.split(
            "dbt --log-format json --no-version-check build --vars '{x: 1}' --full-refresh"
            " --threads 8 --resource-type model --state s --quiet --fail-fast"
            " --select fqn:shop.[b] --indirect-selection empty"
        )

    @pytest.mark.parametrize(
        ("subcommand", "chosen"),
        [
            ("run", ["b", "c", "never_started"]),
            ("test", ["of_b"]),
            ("build", ["b", "c", "of_b", "never_started"]),
        ],
    )
    def test_names_what_the_subcommand_runs(self, subcommand: str, chosen: list[str]) -> None:
        command = f"dbt {subcommand}"
        kinds = {"run": ("model",), "test": ("test",), "build": ("model", "test", "seed")}
        records = {u: record(u, s) for u, s in STATUSES.items() if u.startswith(kinds[subcommand])}
        found = resumed(previous(command, exit_code=None, records=records), Ls(), command)
        terms = [word for word in found.command if word.startswith("fqn:")]
        assert terms == [f"fqn:shop.{name[:-1]}[{name[-1]}]" for name in chosen]

    @pytest.mark.parametrize(
        ("command", "is_said"), [("dbt build", True), ("dbt test", True), ("dbt run", False)]
    )
    def test_dbt_run_of_1_7_knows_no_indirect_selection(self, command: str, is_said: bool) -> None:
        kind = "test" if command == "dbt test" else "model"
        records = {u: record(u, s) for u, s in STATUSES.items() if u.startswith(kind)}
        found = resumed(previous(command, exit_code=None, records=records), Ls(*records), command)
        assert ("--indirect-selection" in found.command) == is_said

    def test_under_warn_error_a_warning_is_not_done(self) -> None:
        command = "dbt --warn-error test"
        records = {
            "test.shop.a": record("test.shop.a", "pass"),
            "test.shop.b": record("test.shop.b", "warn"),
        }
        found = resumed(previous(command, exit_code=None, records=records), Ls(*records), command)
        assert "fqn:shop.[b]" in found.command

    def test_a_unit_test_runs_with_its_model(self) -> None:
        ls = Ls("model.shop.a", "model.shop.b", "unit_test.shop.of_a")
        found = resumed(previous(exit_code=None, records=MODELS), ls)
        assert [word for word in found.command if word.startswith("fqn:")] == [
            "fqn:shop.[a]",
            "fqn:shop.[b]",
            "fqn:shop.of_[a]",
        ]
        assert found.carried == ()

    def test_what_means_something_in_a_selector_becomes_a_wildcard(self) -> None:
        ls = Ls(*MODELS, "test.shop.is it, really?")
        assert (
            "fqn:shop.is?it??really?"
            in resumed(previous(exit_code=None, records=MODELS), ls).command
        )

    def test_a_partial_success_is_not_done(self) -> None:
        records = {
            "model.shop.a": record("model.shop.a", "success"),
            "model.shop.mb": record("model.shop.mb", "partial success"),
        }
        found = resumed(previous(records=records, exit_code=None), Ls(*records))
        assert "fqn:shop.m[b]" in found.command
        assert "fqn:shop.[a]" not in found.command


def announced(total: int) -> dict[str, NodeRecord]:
    return {u: record(u, STATUSES[u], total=total) for u in MODELS}


class TestEverythingAgain:
    @pytest.mark.parametrize(
        ("why", "known", "ls", "command"),
        [
            ("no earlier attempt is known", None, None, "dbt build"),
            ("ran a different command (dbt run)", previous("dbt run"), None, "dbt build"),
            ("nothing had succeeded", previous(records={}), None, "dbt build"),
            ("a script", previous("./x.sh"), None, "./x.sh"),
            ("dbt compile", previous("dbt compile"), None, "dbt compile"),
            ("dbt docs generate", previous("dbt docs generate"), None, "dbt docs generate"),
            ("boom", previous(exit_code=None), Ls(error="boom"), "dbt build"),
            (
                "every node had succeeded: the failure",
                previous(exit_code=None, records={"model.shop.a": MODELS["model.shop.a"]}),
                Ls("model.shop.a"),
                "dbt build",
            ),
            (
                "attempt 1 had succeeded",
                previous(records={"model.shop.a": MODELS["model.shop.a"]}, exit_code=0),
                None,
                "dbt build",
            ),
            (
                "for example in a hook",
                previous(records={"model.shop.a": MODELS["model.shop.a"]}),
                None,
                "dbt build",
            ),
            ("does not list", previous(exit_code=None), lambda _: LsOutput("a page"), "dbt build"),
            (
                "does not list model.shop.b",
                previous(exit_code=None, records=MODELS),
                Ls("model.shop.a", "model.shop.c", others=("model.shop.b",)),
                "dbt build",
            ),
            (
                "lists 2 nodes where dbt had announced 3",
                previous(exit_code=None, records=announced(3)),
                Ls(*MODELS, "model.shop.ephemeral", "source.shop.x"),
                "dbt build",
            ),
            (
                "too many for a command line",
                previous(exit_code=None, records=MODELS),
                Ls(*MODELS, *(f"model.shop.{'n' * 90}{i}" for i in range(6000))),
                "dbt build",
            ),
        ],
    )
    def test_where_there_is_no_other_way(
        self, why: str, known: PreviousAttempt | None, ls: Any, command: str
    ) -> None:
        found = resumed(known, ls, command)
        assert found.command == tuple(shlex.split(command))
        assert found.carried == ()
        assert found.remark is not None
        assert "everything runs" in found.remark
        assert why in found.remark

    def test_but_not_where_more_is_listed_than_was_announced(self) -> None:
        found = resumed(previous(exit_code=None, records=announced(2)), Ls(*MODELS, "model.shop.c"))
        assert "fqn:shop.[c]" in found.command


class TestBeforeDbtStarts:
    """What `run --resume` makes of a try; nothing there may keep dbt from running."""

    def found(self, attempt: int | None, journal: Any) -> Resumption:
        info = RunInfo(command=("dbt", "build"), started_at="", task=TASK, attempt=attempt)
        with Signals() as signals:
            return resumption_of(
                ("dbt", "build"), journal, info, lasting_airflow=None, signals=signals
            )

    def test_a_first_try_is_nothing_to_speak_of(self) -> None:
        assert self.found(1, None) == Resumption(("dbt", "build"), (), None)

    def test_without_a_number_it_is_no_retry(self) -> None:
        assert "--try-number" in str(self.found(None, None).remark)

    def test_a_fault_of_ours(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = self.found(2, "no journal")
        assert found.command == ("dbt", "build")
        assert "everything runs" in str(found.remark)
        assert "AttributeError" in capsys.readouterr().err

    def test_nothing_known(self) -> None:
        with Journal(None) as journal:
            assert "no earlier attempt is known" in str(self.found(2, journal).remark)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("cancelled", None), ("timed out", None), ("done", "success"), ("error", "success")],
)
def test_what_is_not_known_to_have_succeeded_runs_again(status: str, outcome: Any) -> None:
    doubtful = record("model.shop.a", status, outcome=outcome or outcome_of(status))
    records = {u: record(u, s) for u, s in STATUSES.items()} | {"model.shop.a": doubtful}
    found = resumed(previous(records=records), Ls())
    assert "seed.shop.raw" in {r.unique_id for r in found.carried}
    assert "model.shop.a" not in {r.unique_id for r in found.carried}
    assert "fqn:shop.[a]" in found.command


EPHEMERAL = "model.shop.ephemeral"
BUILT = {
    "model.shop.a": record("model.shop.a", "success", checksum="of a"),
    "model.shop.on_it": record("model.shop.on_it", "success", checksum="of on_it"),
    "model.shop.b": record("model.shop.b", "error", checksum="of b"),
}


@pytest.mark.parametrize(
    ("manifest", "again"),
    [
        ({EPHEMERAL: "of it"}, set()),
        ({EPHEMERAL: "of another"}, {"on_it"}),
        ({}, {"on_it"}),
        (None, {"on_it"}),
    ],
    ids=["the same", "changed", "not in the manifest", "no manifest"],
)
def test_what_stands_on_an_ephemeral_model_of_other_code_runs_again(
    manifest: dict[str, str] | None, again: set[str], tmp_path: Path
) -> None:
    """It has no record: its code is compared with the manifest of the attempt."""
    if manifest is not None:
        nodes = "".join(
            f', "unique_id": "{u}", "fqn": [], "alias": "x", '
            f'"checksum": {{"name": "sha256", "checksum": "{checksum}"}}'
            for u, checksum in manifest.items()
        )
        text = f'{{"metadata": {{"invocation_id": "i-1"}}{nodes}}}'
        (tmp_path / "manifest.json").write_text(text)
    like: dict[str, dict[str, Any]] = {
        u: {"checksum": {"name": "sha256", "checksum": record.checksum}}
        for u, record in BUILT.items()
    }
    like["model.shop.on_it"]["depends_on"] = {"nodes": [EPHEMERAL]}
    like[EPHEMERAL] = {
        "config": {"materialized": "ephemeral"},
        "checksum": {"name": "sha256", "checksum": "of it"},
    }
    found = resumed(
        previous(records=BUILT, exit_code=None, target_dir=tmp_path),
        Ls(*BUILT, EPHEMERAL, like=like),
    )
    assert names(found) == {"b"} | again
    assert {r.name or r.unique_id for r in found.carried} == {
        u for u, r in BUILT.items() if r.outcome == "success" and u.rpartition(".")[2] not in again
    }


class TestCounts:
    """What is said of one node, and of two."""

    @pytest.mark.parametrize(
        ("done", "left", "said"),
        [
            ("a", "d", "1 node had succeeded, and the other 1 is selected by name"),
            ("ab", "de", "2 nodes had succeeded, and the other 2 are selected by name"),
        ],
    )
    def test_of_nodes_that_had_succeeded(self, done: str, left: str, said: str) -> None:
        records = {f"model.shop.{n}": record(f"model.shop.{n}", "success") for n in done}
        records |= {f"model.shop.{n}": record(f"model.shop.{n}", "error") for n in left}
        found = resumed(previous(exit_code=None, records=records), Ls(*records))
        assert said in str(found.remark)

    @pytest.mark.parametrize(
        ("again", "said"),
        [
            ("b", "of which 1 runs again because code changed there or upstream"),
            ("bc", "of which 2 run again because code changed there or upstream"),
        ],
    )
    def test_of_nodes_that_run_again(self, again: str, said: str) -> None:
        records = {
            f"model.shop.{n}": record(f"model.shop.{n}", status, checksum="old")
            for n, status in (("a", "success"), ("b", "success"), ("c", "success"), ("d", "error"))
        }
        checksums = {n: {"name": "sha256", "checksum": "old"} for n in "abcd"}
        checksums |= {n: {"name": "sha256", "checksum": "new"} for n in again}
        like = {f"model.shop.{n}": {"checksum": checksum} for n, checksum in checksums.items()}
        found = resumed(previous(exit_code=None, records=records), Ls(*records, like=like))
        assert said in str(found.remark)

    def test_of_one_node_that_is_listed(self) -> None:
        records = {"model.shop.a": record("model.shop.a", "success", total=2)}
        found = resumed(previous(exit_code=None, records=records), Ls("model.shop.a"))
        assert "dbt ls lists 1 node where dbt had announced 2" in str(found.remark)

    def test_of_one_node_with_a_long_name(self) -> None:
        name = f"model.shop.{'n' * 600_000}"
        records = {"model.shop.a": record("model.shop.a", "success")}
        found = resumed(previous(exit_code=None, records=records), Ls(*records, name))
        assert "1 node is too many for a command line" in str(found.remark)
