"""The table of methods against that of the official types."""

from __future__ import annotations

import pytest
from mcp_types.methods import SERVER_RESULTS

from scopedtools.protocol.methods import METHODS
from scopedtools.protocol.revisions import LATEST, REVISIONS, Revision, negotiate
from tests.wire.exchange import LEGACY, MODERN, NAMED_BY

TASKS = {"tasks/get": "task_id", "tasks/update": "task_id", "tasks/cancel": "task_id"}
"""Methods of an extension, which the official types leave out."""

REQUESTS = [name for name, method in METHODS.items() if not method.notification and name not in TASKS]


@pytest.mark.parametrize("revision", REVISIONS.values(), ids=REVISIONS)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_method_exists_at_the_revisions_at_which_the_specification_has_it(
    name: str, revision: Revision
) -> None:
    assert METHODS[name].exists_at(revision) == ((name, revision.name) in SERVER_RESULTS)


def test_methods_are_mirrored_by_the_parameter_that_the_specification_names() -> None:
    assert {name: method.named_by for name, method in METHODS.items() if method.named_by} == NAMED_BY | TASKS


@pytest.mark.parametrize("name", TASKS)
def test_tasks_exist_where_there_are_no_sessions(name: str) -> None:
    assert [revision.name for revision in REVISIONS.values() if METHODS[name].exists_at(revision)] == [MODERN]


def test_the_newest_revision_is_the_only_stateless_one() -> None:
    assert [name for name, revision in REVISIONS.items() if revision.stateless] == [MODERN]
    assert LATEST.name == MODERN
    assert set(REVISIONS) == {MODERN, *LEGACY}


@pytest.mark.parametrize("requested", [*LEGACY, MODERN, "2024-11-05", "", "2099-01-01"])
def test_a_handshake_never_agrees_on_a_stateless_revision(requested: str) -> None:
    agreed = negotiate(requested).name
    assert agreed == (requested if requested in LEGACY else LEGACY[0])
