"""Functions that already exist: what both servers offer."""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from examples.workbench.tools import colors, dates, geometry, hashing, networks, stats, units, urls

MODULES: tuple[ModuleType, ...] = (colors, dates, geometry, hashing, networks, stats, units, urls)


def functions() -> Iterator[Callable[..., Any]]:
    """Yield every public function of the modules."""
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield function
