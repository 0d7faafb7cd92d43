"""What Airflow lists of this package is there, and costs no import."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import dbt_relay
from dbt_relay.provider_info import get_provider_info

from .test_package import heavy, modules_after

ROOT = Path(__file__).parents[2]


def paths(value: Any) -> list[str]:
    """Every path of a module or a class in the info."""
    if isinstance(value, dict):
        return [path for part in value.values() for path in paths(part)]
    if isinstance(value, list):
        return [path for part in value for path in paths(part)]
    return [value] if isinstance(value, str) and value.startswith("dbt_relay.") else []


@pytest.mark.parametrize("path", paths(get_provider_info()))
def test_it_names_what_there_is(path: str) -> None:
    *folders, name = path.split(".")[1:]
    if (ROOT.joinpath(*folders) / f"{name}.py").is_file():
        return
    module = ROOT.joinpath(*folders).with_suffix(".py")
    tree = ast.parse(module.read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_it_has_the_version_of_the_package() -> None:
    assert get_provider_info()["versions"] == [dbt_relay.__version__]


def test_it_imports_nothing() -> None:
    """Every process of Airflow calls it, each task's too."""
    loaded = modules_after("from dbt_relay.provider_info import get_provider_info as g; g()")
    assert heavy(loaded, "dbt_relay") == {"dbt_relay", "dbt_relay.provider_info"}
