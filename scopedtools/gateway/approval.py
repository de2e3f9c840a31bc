"""Digests of approved definitions: who changes one later is noticed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from scopedtools.catalog.primitives import Kind
from scopedtools.gateway.config import Approval
from scopedtools.gateway.errors import ConfigError
from scopedtools.gateway.snapshot import write_whole
from scopedtools.gateway.trust import IDENTITY, digest

_log: Final = logging.getLogger(__name__)

Standing: TypeAlias = Literal["approved", "new", "changed"]

_TAGS: Final[Mapping[Standing, str]] = {"new": "unapproved", "changed": "changed"}


class Approvals:
    """What was approved, on disk.

    Args:
        policy: What happens to the rest.

    Raises:
        ConfigError: The file is there and cannot be read: nothing may be taken for approved then.
    """

    def __init__(self, policy: Approval) -> None:
        self._policy = policy
        self._digests = _read(policy.file)

    def standing(self, server: str, kind: Kind, definition: Mapping[str, Any]) -> Standing:
        """Tell whether a definition is an approved one."""
        if self._policy.file is None:
            return "approved"
        approved = self._digests.get(server, {}).get(_key(kind, definition))
        if approved is None:
            return "new"
        return "approved" if approved == digest(definition) else "changed"

    def admitted(
        self, server: str, kind: Kind, definitions: tuple[Mapping[str, Any], ...]
    ) -> Iterator[tuple[Mapping[str, Any], frozenset[str]]]:
        """Yield the definitions that may be served, each with the tags that its standing brings."""
        taken = []
        for definition in definitions:
            standing = self.standing(server, kind, definition)
            reaction = "allow" if standing == "approved" else getattr(self._policy, standing)
            if standing != "approved" and reaction != "allow":
                _log.warning("%s: the %s %r is %s", server, kind, definition["name"], standing)
            if reaction == "hold":
                continue
            if standing != "approved" and reaction == "allow":
                taken.append(definition)
            yield definition, frozenset({_TAGS[standing]}) if reaction == "flag" else frozenset()
        if taken:
            self.approve(server, kind, taken)

    def approve(self, server: str, kind: Kind, definitions: list[Mapping[str, Any]]) -> None:
        """Approve definitions as they are now, and keep that."""
        if self._policy.file is None:
            return
        approved = {server: {_key(kind, one): digest(one) for one in definitions}}
        self._digests = _joined(self._digests, approved)
        try:
            # Somebody else may have approved something since, such as another gateway with the same file.
            self._digests = _joined(self._digests, _read(self._policy.file), approved)
            write_whole(self._policy.file, {"approved": self._digests})
        except OSError as error:
            _log.warning("what is approved cannot be saved: %s", error.strerror)
        except ConfigError as error:
            _log.warning("what is approved cannot be saved: %s", error)


def _key(kind: Kind, definition: Mapping[str, Any]) -> str:
    return f"{kind}:{definition[IDENTITY[kind]]}"


def _joined(*all_digests: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    joined: dict[str, dict[str, str]] = {}
    for digests in all_digests:
        for server, of_server in digests.items():
            joined.setdefault(server, {}).update(of_server)
    return joined


def _read(file: Path | None) -> dict[str, dict[str, str]]:
    if file is None or not file.exists():
        return {}
    try:
        saved = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, dict[str, str]]])
        return saved["approved"]
    except (OSError, msgspec.DecodeError, KeyError) as error:
        raise ConfigError(
            f"the approved digests in {str(file)!r} cannot be read: {error}; restore the file, or remove it "
            "to approve anew"
        ) from error
