"""The page on compatibility, and what other pages say of versions, show what `make matrix` ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from project.test_docs import rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compatibility.md").read_text()
PINS = ROOT / "tests/constraints"
DBTS = sorted(PINS.glob("dbt-*.txt"))
RUNS = {
    "dbt": "records ok, console ok, exits ok, resume ok, stop ok",
    "Airflow": "rest ok, modes ok, retry ok, mapped ok",
    "Airflow on PostgreSQL": "rest ok, modes ok, retry ok, mapped ok, role ok, many ok",
    "Python": "unit ok",
}
"""A green result, by the second column's title."""


def ran(title: str) -> list[Version]:
    """The versions in a table, every row of which must be green."""
    table = PAGE.split(f"| date | {title} |")[1].split("\n\n")[0]
    found = rows(table)[1:]
    assert {row[-1] for row in found} == {RUNS[title]}
    return sorted({Version(row[1]) for row in found})


def pinned(package: str, pattern: str) -> list[Version]:
    lines = [line for path in PINS.glob(pattern) for line in path.read_text().splitlines()]
    return sorted(Version(line.split("==")[1]) for line in lines if line.startswith(f"{package}=="))


def minor(version: Version) -> str:
    return f"{version.major}.{version.minor}"


def test_each_version_that_is_pinned_has_a_green_row_and_no_other_has_one() -> None:
    dbts = pinned("dbt-core", "dbt-*.txt") + pinned("dbt", "dbt-v2.txt")
    assert ran("dbt") == dbts
    assert ran("Airflow") == pinned("apache-airflow", "airflow*.txt")
    assert ran("Airflow on PostgreSQL") == pinned("apache-airflow", "production.txt")


def test_each_python_that_the_package_declares_ran_but_3_14() -> None:
    """3.14 only where a machine has it."""
    declared = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert {*declared} - {"3.14"} <= {minor(version) for version in ran("Python")} <= {*declared}


def test_the_readme_names_what_ran() -> None:
    *v1, v2 = ran("dbt")
    airflows = ran("Airflow")
    words = (
        f"It works with dbt {minor(v1[0])} to {minor(v1[-1])} and dbt v2 ({v2}), and with Airflow "
        f"{minor(airflows[0])} to {minor(airflows[-1])}"
    )
    assert words in " ".join((ROOT / "README.md").read_text().split())


@pytest.mark.parametrize("pins", DBTS, ids=lambda path: path.stem)
def test_which_dbt_can_share_an_environment_with_the_package(pins: Path) -> None:
    """All of 1.x but 1.7. dbt v2 is a program without Python packages."""
    text = (ROOT / "pyproject.toml").read_text().split("\ndependencies = [")[1].split("]")[0]
    needed = [Requirement(line) for line in re.findall(r'"([^"]+)"', text)]
    versions: dict[str, str] = {}
    for line in pins.read_text().splitlines():
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        versions[canonicalize_name(requirement.name)] = specifier.version
    unmet = {r.name for r in needed if not r.specifier.contains(versions.get(r.name, "0"))}
    expected = {"dbt-1.7": {"urllib3"}, "dbt-v2": {r.name for r in needed}}
    if pins.stem == "dbt-1.7":  # which was resolved without the package
        unmet &= versions.keys()
    assert unmet == expected.get(pins.stem, set())
