"""Every message that the server sends is one that its revision's JSON Schema allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import pytest

from scopedtools.transports.http import HttpTransport
from tests.contract.judge import MODERN, REVISIONS
from tests.contract.more import More
from tests.contract.peers import HttpPeer, Peer, stdio_peer
from tests.contract.recorder import Recorder
from tests.contract.situations import SITUATIONS

pytestmark = pytest.mark.anyio

Carrier = Literal["http", "http in sessions", "stdio"]
CARRIERS: Final[tuple[Carrier, ...]] = ("http", "http in sessions", "stdio")

LIMIT_S: Final = 60

LISTED: Final = {"ListToolsResult", "ListResourcesResult", "ListResourceTemplatesResult", "ListPromptsResult"}
ANSWERED: Final = {"CallToolResult", "ReadResourceResult", "GetPromptResult", "CompleteResult"}
REFUSED: Final = {f"error {code}" for code in (-32700, -32600, -32601, -32602, -32603)}
EVERYWHERE: Final = LISTED | ANSWERED | REFUSED | {"ProgressNotification", "LoggingMessageNotification"}

ON_CHANGES: Final = {
    "ToolListChangedNotification",
    "PromptListChangedNotification",
    "ResourceUpdatedNotification",
}
ONLY_MODERN: Final = ON_CHANGES | {
    *("DiscoverResult", "InputRequiredResult", "SubscriptionsListenResult"),
    *("SubscriptionsAcknowledgedNotification", "TaskNotification"),
    *("CreateTaskResult", "GetTaskResult", "UpdateTaskResult", "CancelTaskResult"),
    *("error -32021", "error -32022"),
}
ONLY_LEGACY: Final = {"InitializeResult", "EmptyResult", "CreateMessageRequest", "ListRootsRequest"}


def expected(revision: str, carrier: Carrier) -> set[str]:
    """Name what a server must have said after all situations."""
    if revision == MODERN:
        return EVERYWHERE | ONLY_MODERN | ({"error -32020"} if carrier != "stdio" else set())
    heard = ON_CHANGES if carrier != "http" else set()
    asked = {"ElicitRequest"} if revision >= "2025-06-18" else set()
    return EVERYWHERE | ONLY_LEGACY | heard | asked


@asynccontextmanager
async def connected(server: More, carrier: Carrier, revision: str, recorder: Recorder) -> AsyncIterator[Peer]:
    """Serve a peer, with the recorder between."""
    if carrier == "stdio":
        async with stdio_peer(server.dispatcher, revision, recorder) as over_pipes:
            await over_pipes.open()
            yield over_pipes
        return
    app = server if carrier == "http in sessions" else HttpTransport(server.dispatcher)
    peer = HttpPeer(recorder.app(app), revision)
    await peer.open()
    assert (peer.session_id is not None) == (carrier == "http in sessions" and revision != MODERN)
    async with peer.following():
        yield peer


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_message_fits_the_schema(revision: str, carrier: Carrier, recorder: Recorder) -> None:
    server = More()
    async with server, connected(server, carrier, revision, recorder) as peer:
        for situation in SITUATIONS:
            async with asyncio.timeout(LIMIT_S):
                await situation(peer, server)
    seen = {name for at, name in recorder.seen if at == revision}
    assert sorted(expected(revision, carrier) - seen) == []
