"""The profile that a dbt command uses, as far as it can be known without running dbt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...records.values import is_object, text
from .arguments import position_of_dbt, unbundled
from .flags import DbtFlags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...records.values import JsonObject

_CALL: Final = re.compile(
    r"\{\{\s*env_var\(\s*(['\"])(?P<name>[^'\"]+)\1\s*"
    r"(?:,\s*(?P<quote>['\"])(?P<usual>[^'\"]*)(?P=quote)\s*)?\)"
    r"\s*(?:\|\s*\w+\s*(?:\(\s*\))?\s*)*\}\}"
)
"""A call of `env_var`, perhaps with filters such as `as_number`."""
_JINJA: Final = re.compile(r"\{\{|\{%|\{#")


class UnknownProfileError(Exception):
    """The profile cannot be known. The text says why."""


def profile_of(
    command: Sequence[str], environ: Mapping[str, str], project_dir: Path, cwd: Path
) -> JsonObject:
    """The settings of the target that a dbt command uses, with their variables filled in.

    A value is missing if only dbt can render it, or if it has a secret of dbt. Raises
    UnknownProfileError.
    """
    at = position_of_dbt(command)
    arguments = [*unbundled(command[at + 1 :])] if at is not None else []
    flags = DbtFlags(arguments, environ, "")
    wanted = flags.value("profile") or text(project_of(project_dir).get("profile"))
    if wanted is None:
        raise UnknownProfileError(f"{project_dir / 'dbt_project.yml'} names no profile")
    path = _profiles_file(flags.value("profiles_dir"), project_dir, cwd)
    profile = _read(path).get(wanted)
    if not is_object(profile):
        raise UnknownProfileError(f"{path} has no profile {wanted}")
    usual = _rendered(profile.get("target", "default"), environ)
    target = flags.value("target") or _short_target(arguments) or text(usual)
    outputs = profile.get("outputs")
    found = outputs.get(target) if is_object(outputs) and target is not None else None
    if not is_object(found):
        raise UnknownProfileError(f"{path} has no output {target} for the profile {wanted}")
    rendered = {key: _rendered(value, environ) for key, value in found.items()}
    return {key: value for key, value in rendered.items() if value is not None}


def project_of(project_dir: Path) -> JsonObject:
    """The content of dbt_project.yml; empty if it cannot be read."""
    try:
        return _read(project_dir / "dbt_project.yml")
    except UnknownProfileError:
        return {}


def _short_target(arguments: Sequence[str]) -> str | None:
    """The value of the last `-t`."""
    places = [at for at, word in enumerate(arguments[:-1]) if word == "-t"]
    return arguments[places[-1] + 1] if places else None


def _profiles_file(given: str | None, project_dir: Path, cwd: Path) -> Path:
    """The file in the folder that was named, or in the first usual folder that has one.

    The folder of the project is none of dbt's. A saved log may be far from where dbt ran.
    """
    if given is not None:
        return cwd / given / "profiles.yml"
    home = Path("~/.dbt").expanduser()
    folders = (cwd, home, project_dir)
    return next((d for d in folders if (d / "profiles.yml").is_file()), home) / "profiles.yml"


def _read(path: Path) -> JsonObject:
    import yaml  # noqa: PLC0415 - comes with OpenLineage's client

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnknownProfileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UnknownProfileError(f"{path} is no YAML") from error
    if not is_object(content):
        raise UnknownProfileError(f"{path} is empty")
    return content


def _rendered(value: Any, environ: Mapping[str, str]) -> Any:
    """The value, with each `env_var` filled in; None if something is left that only dbt knows."""
    if not isinstance(value, str):
        return value
    is_unknown = False

    def filled(call: re.Match[str]) -> str:
        nonlocal is_unknown
        name: str = call["name"]
        usual: str | None = call["usual"]
        found = environ.get(name, usual)
        is_unknown |= found is None or name.startswith("DBT_ENV_SECRET")
        return found or ""

    done = _CALL.sub(filled, value)
    return None if is_unknown or _JINJA.search(done) else done
