"""The connections to Airflow: a pool of apache-airflow-client, without the rest of the client.

The client's package imports every API and every model of Airflow: a second of CPU time and 40 MB
(client 3.3). The relay needs two of its modules, which import none of that.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from .address import Proxy

if TYPE_CHECKING:
    from collections.abc import Generator

    from .settings import AirflowSettings

_ABOVE: Final = "airflow_client"
_PACKAGE: Final = f"{_ABOVE}.client"


def connection_pool(to: AirflowSettings) -> Any:
    """An `urllib3.PoolManager` that neither retries nor follows redirects.

    Raises ImportError without the client.
    """
    configuration, rest = client_modules()
    options: dict[str, Any] = {"retries": False}
    if to.ca_file is not None:
        options["ssl_ca_cert"] = str(to.ca_file)
    settings = configuration.Configuration(host=to.url, **options)
    if to.proxy is not None:
        proxy = Proxy.of(to.proxy)
        # Client 3.0 has no arguments for these.
        settings.proxy = proxy.url
        settings.proxy_headers = dict(proxy.headers) or None
    pool = rest.RESTClientObject(settings).pool_manager
    # urllib3 before 2.5 follows redirects although retries are off.
    pool.urlopen = partial(pool.urlopen, redirect=False)
    return pool


def client_modules() -> tuple[Any, Any]:
    """The client's modules `configuration` and `rest`.

    The package is imported too if they need it. Up to client 3.3 they do not.
    """
    if _PACKAGE not in sys.modules:
        try:
            with _bare_package():
                return _modules()
        except (ImportError, AttributeError):
            pass
    return _modules()


def _modules() -> tuple[Any, Any]:
    return import_module(f"{_PACKAGE}.configuration"), import_module(f"{_PACKAGE}.rest")


@contextmanager
def _bare_package() -> Generator[None]:
    """Within the block, an import from the package does not run the package's own code."""
    above = find_spec(_ABOVE)
    folders = (above.submodule_search_locations if above is not None else None) or ()
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(Path(folder, "client")) for folder in folders]
    sys.modules[_PACKAGE] = package
    try:
        yield
    finally:
        # Whoever imports the client later gets all of it.
        for name in [*sys.modules]:
            if name == _PACKAGE or name.startswith(f"{_PACKAGE}."):
                del sys.modules[name]
