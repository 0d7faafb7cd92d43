"""Every real log against the files that dbt wrote for the same run."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from support.logs import SCENARIOS, artifact, fold, folded_log, log
from support.results import LOGGED_ANYWHERE, differences

WITH_RESULTS = sorted(k for k in SCENARIOS if artifact(k) is not None and log(k)[:1] == b"{")
DEBUG = {
    key
    for key in WITH_RESULTS
    if b'"name": "NodeFinished"' in log(key)
    # the log has no node for an operation; the only NodeFinished of noisy is forged
    if "run_operation" not in key and "noisy" not in key
}
FAIL_FAST = {key for key in SCENARIOS if "failfast" in key}
TEMPORARY = re.compile(r"/\S+\.py")


@pytest.mark.parametrize("key", WITH_RESULTS)
def test_every_node_agrees_with_run_results(key: str) -> None:
    artifact_bytes = artifact(key)
    assert artifact_bytes is not None
    document = json.loads(artifact_bytes)
    folded = fold(log(key), results=artifact_bytes)
    assert [document["metadata"]["invocation_id"]] == [i.id for i in folded.run.invocations]
    final = folded.final
    if key in FAIL_FAST:
        # Under --fail-fast the file calls nodes skipped that ended in another way in the log.
        ended = {r.unique_id for r in folded_log(key).records}
        document["results"] = [r for r in document["results"] if r["unique_id"] not in ended]
        causes = {final[r["unique_id"]].skip_cause for r in document["results"]}
        assert causes == {"fail_fast"}
    for result in document["results"]:
        record = final[result["unique_id"]]
        found = differences(record.to_json(), result)
        if result["unique_id"].startswith("macro.") and record.status == "error":
            # The file has no text for an operation.
            assert "op_nope does not exist" in found.pop("message")[0]
        if record.timing is None:
            found = {field: found[field] for field in LOGGED_ANYWHERE if field in found}
        assert not found


@pytest.mark.parametrize("key", sorted(DEBUG))
def test_a_debug_log_needs_no_file(key: str) -> None:
    """The log has status, text, times and adapter response at the node's own end."""
    document = json.loads(artifact(key) or b"")
    folded = folded_log(key)
    missing = {r["unique_id"] for r in document["results"]} - folded.final.keys()
    # Only the file says whether an ephemeral model counts, which `dbt compile` lists.
    ephemeral = {u for i in folded.run.invocations for u, n in i.nodes.items() if not n.has_result}
    assert missing <= ephemeral or key in FAIL_FAST
    timed = [r for r in document["results"] if r["timing"] and r["unique_id"] not in missing]
    for result in timed:
        if not result["unique_id"].startswith("operation."):
            assert folded.final[result["unique_id"]].timing is not None


@pytest.mark.parametrize("key", sorted(SCENARIOS))
def test_one_record_per_node_amended_only_where_something_changed(key: str) -> None:
    folded = folded_log(key)
    writes = Counter(record.unique_id for record in folded.records)
    for uid, record in folded.final.items():
        assert record.sequence == writes[uid]
        assert writes[uid] == 1 or (writes[uid] == 2 and record.outcome != "success")
    for before, after in zip(folded.records, folded.records[1:], strict=False):
        assert before != after
    if key in DEBUG:
        twice = [uid for uid, n in writes.items() if n > 1]
        assert all(folded.final[uid].resource_type == "operation" for uid in twice)


@pytest.mark.parametrize("key", sorted(SCENARIOS))
def test_absent_is_absent(key: str) -> None:
    for record in folded_log(key).records:
        for value in record.to_json().values():
            assert value is not None
            assert value not in ("", "None", {}, [])


@pytest.mark.parametrize("key", ["1.11.16/source_freshness_debug", "1.11.16/source_freshness_info"])
def test_freshness_agrees_with_sources(key: str) -> None:
    document = json.loads(artifact(key, "sources") or b"")
    final = folded_log(key).final
    assert len([uid for uid in final if uid.startswith("source.")]) == 4
    assert len(document["results"]) >= 3
    for result in document["results"]:
        assert final[result["unique_id"]].status == result["status"]


@pytest.mark.parametrize("version", ["1.8", "1.10", "1.11.16", "1.12.6", "1.7.20", "1.9.11"])
def test_info_and_debug_logs_make_the_same_records(version: str) -> None:
    """Two runs of one project, without times, threads and ids, which differ in each run."""
    scenario = "example" if f"{version}/example_info" in SCENARIOS else "build_fail"
    same = ("unique_id", "resource_type", "status", "outcome", "message", "failures", "name")
    same += ("path", "materialized", "relation", "batches", "skip_cause", "total")
    comparable = []
    for level in ("info", "debug"):
        final = folded_log(f"{version}/{scenario}_{level}").final.values()
        comparable.append(
            {
                r.unique_id: [TEMPORARY.sub("", str(getattr(r, field))) for field in same]
                for r in final
            }
        )
    info, debug = comparable
    # dbt logs no line at info level for ephemeral models, and for nodes skipped because of one
    silent = {uid for uid in debug if "eph" in uid}
    assert info.keys() >= debug.keys() - silent
    for uid in info.keys() - silent:
        assert info[uid] == debug[uid]
