"""Official clients that hear when their list of tools is another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.driving import AWAIT_CHANGE, Step
from tests.clients.roster import TALKING, marked

if TYPE_CHECKING:
    from tests.clients.conftest import Peer

pytestmark = pytest.mark.slow

LIST: Final[Step] = ("tools/list", {})
TURN_KEY: Final[Step] = ("tools/call", {"name": "turn_key", "arguments": {}})
AWAIT: Final[Step] = (AWAIT_CHANGE, {})


@pytest.mark.parametrize("client", marked(TALKING), indirect=True)
def test_a_client_that_listens_hears_of_each_change_and_sees_it(peer: Peer) -> None:
    seen = peer.visit(LIST, TURN_KEY, AWAIT, LIST, TURN_KEY, AWAIT, LIST, app="vault", listens=True)

    closed, opened, closed_again = seen.tools
    assert set(opened) - set(closed) == {"count_gold"}
    assert closed_again == closed
    assert len(seen.heard_of("notifications/tools/list_changed")) == 2
