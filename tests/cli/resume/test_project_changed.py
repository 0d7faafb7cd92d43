"""A second attempt in a project that is another by now: what the command selects then is run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.resuming import Ls, names, previous, record, resumed, write_results

if TYPE_CHECKING:
    from dbt_relay.records.schema import NodeRecord

STATUSES = {"model.shop.a": "success", "model.shop.b": "error", "model.shop.c": "skipped"}
RECORDS = {u: record(u, status) for u, status in STATUSES.items()}
A, B, C = STATUSES


def retried(tmp_path: Path, ls: Ls, statuses: dict[str, str] = STATUSES, **known: Any) -> Any:
    """The way taken after an attempt that dbt ended itself, with its file there."""
    write_results(tmp_path, statuses)
    records = known.pop("records", {u: record(u, s) for u, s in statuses.items()})
    return resumed(
        previous(target_dir=tmp_path, records=records, **known), ls, target=str(tmp_path)
    )


class TestSelection:
    def test_nothing_changed(self, tmp_path: Path) -> None:
        ls = Ls(A, B, C)
        assert retried(tmp_path, ls).command == ("dbt", "retry")
        assert len(ls.calls) == 1

    @pytest.mark.parametrize(
        ("listed", "chosen"),
        [
            ((A, B, C, "model.shop.new"), {"b", "c", "new"}),
            ((A, B, C, "seed.shop.new", "test.shop.of_new"), {"b", "c", "new", "of_new"}),
            ((A, B, "model.shop.c2"), {"b", "c2"}),
            ((A, "model.shop.b2", C), {"b2", "c"}),
            (("model.shop.a2", A, B, C), {"a2", "b", "c"}),
        ],
        ids=["new", "new with a test", "renamed, skipped", "renamed, failed", "new before"],
    )
    def test_what_is_new_or_renamed_runs(
        self, tmp_path: Path, listed: tuple[str, ...], chosen: set[str]
    ) -> None:
        """`dbt retry` goes by its file alone, and would end well without it."""
        found = retried(tmp_path, Ls(*listed))
        assert names(found) == chosen
        assert [r.unique_id for r in found.carried] == [A]
        assert "dbt retry would" in found.remark

    @pytest.mark.parametrize("listed", [(A, B), (A, C)], ids=["skipped", "failed"])
    def test_what_is_gone_holds_nothing_up(self, tmp_path: Path, listed: tuple[str, ...]) -> None:
        found = retried(tmp_path, Ls(*listed))
        assert names(found) == {listed[1].rpartition(".")[2]}
        assert [r.unique_id for r in found.carried] == [A]

    def test_what_had_succeeded_and_is_gone_is_published_no_more(self, tmp_path: Path) -> None:
        found = retried(tmp_path, Ls("seed.shop.s", B, C), {**STATUSES, "seed.shop.s": "success"})
        assert [r.unique_id for r in found.carried] == ["seed.shop.s"]
        assert found.command == ("dbt", "retry")

    def test_a_renamed_one_that_had_succeeded_runs_under_its_new_name(self, tmp_path: Path) -> None:
        statuses = {**STATUSES, "seed.shop.s": "success"}
        found = retried(tmp_path, Ls("seed.shop.s", "model.shop.a2", B, C), statuses)
        assert names(found) == {"a2", "b", "c"}
        assert [r.unique_id for r in found.carried] == ["seed.shop.s"]

    def test_one_that_is_there_and_not_listed_is_in_doubt(self, tmp_path: Path) -> None:
        """Its tag may be gone, or dbt may list other nodes than it runs."""
        found = retried(tmp_path, Ls(A, C, others=(B,)))
        assert found.command == ("dbt", "build")
        assert "does not list model.shop.b" in found.remark

    def test_the_project_is_asked_where_it_is(self, tmp_path: Path) -> None:
        command = "dbt build --project-dir p -t prod --vars '{x: 1}' -s tag:x --state s"
        ls = Ls(A, C, others=(B,))
        resumed(previous(command, exit_code=None, records=RECORDS), ls, command, str(tmp_path))
        assert ls.calls[1].startswith(
            "dbt ls --project-dir p -t prod --vars '{x: 1}' --select 'fqn:*' --output json"
        )

    def test_a_listing_that_fails_leaves_everything(self, tmp_path: Path) -> None:
        found = retried(tmp_path, Ls(error="boom"))
        assert found.command == ("dbt", "build")
        assert found.carried == ()
        assert "boom" in found.remark

    def test_of_dbts_announcement_what_is_gone_is_taken_off(self, tmp_path: Path) -> None:
        records = {u: record(u, s, total=4) for u, s in STATUSES.items()}
        found = resumed(previous(exit_code=None, records=records), Ls(A, B, "model.shop.d"))
        assert names(found) == {"b", "d"}
        found = resumed(previous(exit_code=None, records=records), Ls(A, B))
        assert found.command == ("dbt", "build")
        assert "had announced 4" in str(found.remark)

    @pytest.mark.parametrize(("version", "way"), [("1.9.11", "retry"), ("1.11.16", "--select")])
    def test_what_a_build_counts_is_a_matter_of_its_version(
        self, tmp_path: Path, version: str, way: str
    ) -> None:
        """Saved queries and exposures have results from dbt 1.10 on."""
        records = {u: record(u, s, dbt_version=version) for u, s in STATUSES.items()}
        listed = (A, B, C, "saved_query.shop.q", "exposure.shop.e")
        assert way in retried(tmp_path, Ls(*listed), records=records).command

    def test_an_ephemeral_model_is_in_no_file(self, tmp_path: Path) -> None:
        assert retried(tmp_path, Ls(A, B, C, "model.shop.ephemeral")).command == ("dbt", "retry")

    @pytest.mark.parametrize("status", ["cancelled", "no_such_word", "interrupted", "reused?"])
    def test_a_word_that_nobody_knows_is_not_done(self, tmp_path: Path, status: str) -> None:
        statuses = {**STATUSES, "model.shop.d": status}
        found = retried(tmp_path, Ls(*statuses), statuses)
        assert "model.shop.d" not in {r.unique_id for r in found.carried}
        assert names(found) == {"b", "c", "d"}


def code(*changed: str, **parents: str) -> dict[str, dict[str, Any]]:
    """What `dbt ls` says of each node: one of `changed` has another checksum than it had."""
    nodes = ("a", "b", "c", "d", "e")
    return {
        f"model.shop.{n}": {
            "checksum": {"name": "sha256", "checksum": f"{n}{'!' * (n in changed)}"},
            "depends_on": {"nodes": [f"model.shop.{p}" for p in parents.get(n, "")]},
        }
        for n in nodes
    }


def had(**statuses: str) -> dict[str, NodeRecord]:
    return {
        f"model.shop.{n}": record(f"model.shop.{n}", status, checksum=n)
        for n, status in statuses.items()
    }


class TestBelow:
    """What is below a node that runs now was built without it."""

    @pytest.mark.parametrize(
        ("new", "parents", "again"),
        [
            ("a", {"b": "a", "c": "b"}, {"b", "c"}),
            ("b", {"b": "a", "c": "b"}, {"c"}),
            ("b", {"c": "ab"}, {"c"}),
            ("a", {"b": "c"}, set()),
        ],
    )
    def test_a_node_that_was_not_selected_then(
        self, new: str, parents: dict[str, str], again: set[str]
    ) -> None:
        records = had(a="success", b="success", c="success", d="error", e="success")
        ls = Ls(*records, like=code(**parents))
        del records[f"model.shop.{new}"]
        found = resumed(previous(exit_code=None, records=records), ls)
        assert names(found) == {new, *again, "d"}
        assert {r.unique_id[-1] for r in found.carried} == {*"abce"} - {new} - again
        assert ("again because an upstream node runs now" in str(found.remark)) == bool(again)

    def test_dbt_retry_would_not_run_it(self, tmp_path: Path) -> None:
        records = had(b="success", c="error", e="success")
        ls = Ls(A, *records, like=code(b="a"))
        statuses = {u: r.status for u, r in records.items()}
        assert names(retried(tmp_path, ls, statuses, records=records)) == {"a", "b", "c"}

    def test_a_unit_test_needs_no_rows_of_its_model(self, tmp_path: Path) -> None:
        unit = "unit_test.shop.a.of_a"
        like = {**code(), unit: {"depends_on": {"nodes": [A]}}}
        records = {unit: record(unit, "pass"), **had(a="error", b="success")}
        statuses = {u: r.status for u, r in records.items()}
        ls = Ls(unit, A, B, like=like)
        found = retried(tmp_path, ls, statuses, records=records)
        assert found.command == ("dbt", "retry")


class TestCode:
    """The checksums are dbt's, of the text that the node was made of."""

    def test_with_the_same_code_it_is_not_run_again(self, tmp_path: Path) -> None:
        found = retried(
            tmp_path, Ls(A, B, C, like=code()), records=had(a="success", b="error", c="skipped")
        )
        assert found.command == ("dbt", "retry")

    @pytest.mark.parametrize(
        ("changed", "parents", "again"),
        [
            ("a", {"b": "a", "c": "b"}, {"a", "b", "c"}),
            ("b", {"b": "a", "c": "b"}, {"b", "c"}),
            ("c", {"b": "a", "c": "b"}, {"c"}),
            ("a", {"b": "a", "c": "a"}, {"a", "b", "c"}),
            ("bc", {"c": "ab"}, {"b", "c"}),
            ("d", {}, set()),
        ],
    )
    def test_with_another_it_is_with_all_below_it(
        self, changed: str, parents: dict[str, str], again: set[str]
    ) -> None:
        records = had(a="success", b="success", c="success", d="error", e="success")
        ls = Ls(*records, like=code(*changed, **parents))
        found = resumed(previous(exit_code=None, records=records), ls)
        assert names(found) == {*again, "d"}
        assert {r.unique_id[-1] for r in found.carried} == {*"abce"} - again
        assert bool(re.search("runs? again", str(found.remark))) == bool(again)

    def test_dbt_retry_would_not_see_it(self, tmp_path: Path) -> None:
        records = had(a="success", b="error", c="success")
        ls = Ls(A, B, C, like=code("a"))
        statuses = {u: r.status for u, r in records.items()}
        found = retried(tmp_path, ls, statuses, records=records)
        assert names(found) == {"a", "b"}
        assert "dbt retry would not run model.shop.a" in found.remark

    def test_dbt_retry_would_run_the_batches_that_failed_with_it(self, tmp_path: Path) -> None:
        records = had(a="success", b="partial success")
        statuses = {u: r.status for u, r in records.items()}
        assert (
            "retry" in retried(tmp_path, Ls(A, B, like=code()), statuses, records=records).command
        )
        found = retried(tmp_path, Ls(A, B, like=code("b")), statuses, records=records)
        assert names(found) == {"b"}

    def test_without_a_checksum_then_it_is_in_doubt(self, tmp_path: Path) -> None:
        records = {A: record(A, "success"), B: record(B, "error"), **had(c="success")}
        found = resumed(previous(exit_code=None, records=records), Ls(A, B, C, like=code()))
        assert names(found) == {"a", "b"}

    def test_without_any_checksum_then_nothing_can_be_compared(self) -> None:
        """As of a dbt before 1.10 whose manifest was not where it was looked for."""
        records = {A: record(A, "success"), B: record(B, "error")}
        found = resumed(previous(exit_code=None, records=records), Ls(A, B, like=code("a")))
        assert names(found) == {"b"}
        assert "does not know whether their code has changed" in str(found.remark)

    def test_a_generic_test_has_none_and_goes_by_its_name(self) -> None:
        test = "test.shop.not_null.0123456789"
        like = {test: {"checksum": {"name": "none", "checksum": ""}}}
        records = {test: record(test, "pass"), B: record(B, "error")}
        found = resumed(previous(exit_code=None, records=records), Ls(test, B, like=like))
        assert [r.unique_id for r in found.carried] == [test]

    @pytest.mark.parametrize("checksum", [None, 7, "x", [], {}, {"name": "sha256"}])
    def test_a_form_that_nobody_knows_is_none(self, checksum: Any) -> None:
        records = {A: record(A, "success"), B: record(B, "error")}
        ls = Ls(A, B, like={A: {"checksum": checksum}})
        assert names(resumed(previous(exit_code=None, records=records), ls)) == {"b"}

    def test_all_is_another(self) -> None:
        records = had(a="success", b="error")
        found = resumed(previous(exit_code=None, records=records), Ls(A, B, like=code("a")))
        assert found.command == ("dbt", "build")
        assert found.carried == ()
        assert shlex.join(found.command) == "dbt build"
