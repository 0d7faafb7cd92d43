"""Which relations are certified after a run."""

from __future__ import annotations

import pytest
from support.nodes import document, node

from dbt_relay.consumer.certificates import certified
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord

A, B = "model.p.a", "model.p.b"
OF_A, OF_BOTH = "test.p.of_a", "test.p.of_both"
MANIFEST = Manifest.from_json(
    document(
        node(A, relation_name='"db"."main"."a"'),
        node(B, A, relation_name="`db`.`main`.`b`"),
        node("model.p.ephemeral", relation_name=None),
        node(OF_A, A),
        node(OF_BOTH, A, B),
    ),
    "manifest.json",
)


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
    found = dict(certified(records(a="success", of_a="pass", of_both="warn"), MANIFEST))
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
    assert {name for name, _ in certified(records(**statuses), MANIFEST)} == names
