"""dbt's artifacts, while dbt writes them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

READER = """
import sys
from pathlib import Path
from dbt_relay.cli.dbt import target
print("reads", flush=True)
for _ in range(2000):
    target.project(Path(sys.argv[1]))
"""
MANIFEST = b'{"metadata": {"invocation_id": "i-1"}, "pad": "%s", "parent_map": {"a": ["b"]}}' % (
    b"x" * 200_000
)


def test_who_reads_a_file_that_dbt_cuts_does_not_die(tmp_path: Path) -> None:
    """A process that reads a mapped file gets SIGBUS where the file has been cut."""
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(MANIFEST)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        while reader.poll() is None:
            manifest.write_bytes(MANIFEST)
    assert reader.returncode == 0
