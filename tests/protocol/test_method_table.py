"""The table of methods against that of the official types."""

from __future__ import annotations

import pytest
from mcp_types.methods import SERVER_RESULTS

from scopedtools.protocol.methods import METHODS
from scopedtools.protocol.revisions import LATEST, REVISIONS, Revision, negotiate
from tests.wire.exchange import LEGACY, MODERN, NAMED_BY

REQUESTS = [name for name, method in METHODS.items() if not method.notification]


@pytest.mark.parametrize("revision", REVISIONS.values(), ids=REVISIONS)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_method_exists_at_the_revisions_at_which_the_specification_has_it(
    name: str, revision: Revision
) -> None:
    # The official table leaves out the tasks extension, which is for stateless revisions.
    known = revision.stateless if name.startswith("tasks/") else (name, revision.name) in SERVER_RESULTS
    assert METHODS[name].exists_at(revision) == known


def test_methods_are_mirrored_by_the_parameter_that_the_specification_names() -> None:
    named = {name: method.named_by for name, method in METHODS.items() if method.named_by}
    assert named == {name: field.replace("taskId", "task_id") for name, field in NAMED_BY.items()}


def test_the_newest_revision_is_the_only_stateless_one() -> None:
    assert [name for name, revision in REVISIONS.items() if revision.stateless] == [MODERN]
    assert LATEST.name == MODERN
    assert set(REVISIONS) == {MODERN, *LEGACY}


@pytest.mark.parametrize("requested", [*LEGACY, MODERN, "2024-11-05", "", "2099-01-01"])
def test_a_handshake_never_agrees_on_a_stateless_revision(requested: str) -> None:
    agreed = negotiate(requested).name
    assert agreed == (requested if requested in LEGACY else LEGACY[0])
