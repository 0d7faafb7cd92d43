"""Makes the command `with-duckdb/dbt` in an environment that has dbt v2 (2.0.0rc196).

dbt v2 fetches its DuckDB driver when it first needs one. The extension module of the `duckdb`
package has the same functions, so dbt v2 finds it under the names that it looks for. The module
needs the symbols of Python, which a static Python has no library for: there dbt fetches its own.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path

NAMES = ("libduckdb", "libadbc_driver_duckdb")


def main(environment: Path) -> None:
    module = importlib.util.find_spec("_duckdb") or importlib.util.find_spec("duckdb.duckdb")
    assert module is not None
    assert module.origin is not None
    folder = environment / "with-duckdb"
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        link = folder / f"{name}.{'dylib' if sys.platform == 'darwin' else 'so'}"
        link.unlink(missing_ok=True)
        link.symlink_to(module.origin)
    python = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "")
    variables = ""
    if python.is_file() and ".so" in python.name:
        variables = f"LD_LIBRARY_PATH='{folder}' LD_PRELOAD='{python}' "
    dbt = folder / "dbt.new"
    dbt.write_text(f"#!/bin/sh\n{variables}exec '{environment}/bin/dbt' \"$@\"\n")
    dbt.chmod(0o755)
    dbt.replace(folder / "dbt")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
