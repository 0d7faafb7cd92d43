"""Which relations are certified after a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.nodes import document, node

from dbt_relay.consumer.certificates import certified, unknown_nodes
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord

A, B = "model.p.a", "model.p.b"
OF_A, OF_BOTH = "test.p.of_a", "test.p.of_both"
NODES = Manifest.from_json(
    document(
        node(A, relation_name='"db"."main"."a"'),
        node(B, A, relation_name="`db`.`main`.`b`"),
        node("model.p.ephemeral", relation_name=None),
        node(OF_A, A),
        node(OF_BOTH, A, B),
    ),
    "manifest.json",
).nodes


def records(**statuses: str) -> dict[str, NodeRecord]:
    ids = {"a": A, "b": B, "of_a": OF_A, "of_both": OF_BOTH, "ephemeral": "model.p.ephemeral"}
    return {
        ids[name]: NodeRecord(
            unique_id=ids[name],
            status=status,
            outcome=outcome_of(status),
            execution_time=1.5,
            invocation_id="i",
            adapter_response={"rows_affected": 7},
        )
        for name, status in statuses.items()
    }


def test_a_certificate() -> None:
    found = dict(certified(records(a="success", of_a="pass", of_both="warn"), NODES))
    assert found == {
        "db.main.a": {
            "unique_id": A,
            "rows": 7,
            "seconds": 1.5,
            "tests": 2,
            "invocation_id": "i",
        }
    }


@pytest.mark.parametrize(
    ("statuses", "names"),
    [
        ({"a": "success", "b": "success"}, {"db.main.a", "db.main.b"}),
        ({"a": "success", "b": "error"}, {"db.main.a"}),
        ({"a": "success", "of_a": "fail", "b": "success"}, {"db.main.b"}),
        ({"a": "success", "b": "success", "of_both": "fail"}, set()),
        ({"a": "success", "of_a": "skipped"}, set()),
        ({"a": "cancelled"}, set()),
        ({"a": "some new word"}, set()),
        ({"ephemeral": "success"}, set()),
        ({}, set()),
    ],
)
def test_only_a_node_whose_tests_all_succeeded(statuses: dict[str, str], names: set[str]) -> None:
    assert {name for name, _ in certified(records(**statuses), NODES)} == names


def of_a_run(**statuses: str) -> dict[str, NodeRecord]:
    """Records with all that dbt tells of a node."""
    return {
        u: replace(
            record,
            resource_type=u.partition(".")[0],
            relation=f'"db"."dev"."{u[-1]}"' if u in (A, B) else None,
        )
        for u, record in records(**statuses).items()
    }


def test_a_relation_has_the_name_that_dbt_used_in_the_run() -> None:
    found = dict(certified(of_a_run(a="success", of_a="pass"), NODES))
    assert found["db.dev.a"]["tests"] == 1


@pytest.mark.parametrize(
    ("statuses", "names"),
    [
        ({"a": "success", "b": "success", "of_a": "pass"}, {"db.dev.a", "db.dev.b"}),
        ({"a": "success", "b": "error"}, {"db.dev.a"}),
        ({"a": "success", "b": "success", "of_a": "fail"}, set()),
        ({"ephemeral": "success"}, set()),
    ],
)
def test_without_a_manifest_each_test_counts_for_each_relation(
    statuses: dict[str, str], names: set[str]
) -> None:
    found = dict(certified(of_a_run(**statuses), {}))
    assert found.keys() == names
    assert not [known for known in found.values() if "tests" in known]


def test_which_nodes_a_manifest_of_another_run_lacks() -> None:
    ran = of_a_run(a="success", b="success", of_a="pass")
    assert unknown_nodes(ran, NODES) == []
    assert unknown_nodes(ran, {A: NODES[A]}) == [B, OF_A]
