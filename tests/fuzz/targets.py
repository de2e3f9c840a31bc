"""All targets, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.fuzz import heads, messages, names, requests, streams
from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        target.name: target
        for module in (messages, heads, names, streams, requests)
        for target in module.TARGETS
    }
)
