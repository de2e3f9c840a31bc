"""What ``import scopedtools`` offers."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.metadata import version
from types import ModuleType

import pytest

import scopedtools

EXPORTING = (
    "scopedtools",
    "scopedtools.retrieval",
    "scopedtools.testing",
    "scopedtools.cli",
    "scopedtools.client",
    "scopedtools.openapi",
)


def test_the_public_names_are_those_that_are_listed() -> None:
    public = {
        name
        for name, value in vars(scopedtools).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(scopedtools.__all__)


@pytest.mark.parametrize("module", EXPORTING)
def test_listed_names_are_sorted_and_there(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert names == sorted(set(names))
    assert all(hasattr(importlib.import_module(module), name) for name in names)


@pytest.mark.parametrize("name", scopedtools.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    value = getattr(scopedtools, name)
    own = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
    assert own
    assert not own.startswith(f"{name}(")  # what Python writes where the author did not


def test_the_version_is_that_of_the_distribution() -> None:
    assert scopedtools.__version__ == version("scopedtools")
    assert re.fullmatch(r"\d+\.\d+\.\d+", scopedtools.__version__)
