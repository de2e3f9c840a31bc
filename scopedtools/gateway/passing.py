"""One request of a client on its way over one connection: asked again with answers, followed as a task."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scopedtools.gateway.connection import Connection
from scopedtools.gateway.conversation import Conversation
from scopedtools.gateway.following import begun, follow
from scopedtools.gateway.forwarding import Envelope
from scopedtools.protocol import meta

_IDS: Final = itertools.count(10**9)
"""JSON-RPC IDs that no connection gives out by itself, by which progress is told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What goes with a request over one connection, besides what goes over all.

    Attributes:
        headers: Further HTTP headers.
        params: Further parameters.
        tasks: The server may answer with a task.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tasks: bool = False


class Passing:
    """Passes a request on.

    Args:
        connection: Over which.
        conversation: The call that it is part of.
        around: What goes around its parameters.
        more: What else goes with it.
        progress: Whether the client wants to know how far it is.
    """

    def __init__(
        self,
        connection: Connection,
        conversation: Conversation,
        around: Envelope,
        more: More,
        *,
        progress: bool,
    ) -> None:
        self._connection = connection
        self._conversation = conversation
        self._around = around
        self._more = more
        self._progress = conversation.progress if progress else None
        self._capabilities = dict(around.capabilities)
        if more.tasks:
            self._capabilities["extensions"] = {meta.TASKS: {}}

    async def run(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send it and whatever has to follow; return its result as it came.

        Raises:
            UpstreamError: There is no result.
        """
        given = {**params, **self._more.params}
        sent = given
        while True:
            request_id = next(_IDS)
            result = await self._connection.request(
                method,
                {**sent, "_meta": self._around.meta},
                call=self._conversation,
                headers={**self._more.headers, **self._around.headers},
                capabilities=self._capabilities,
                progress=self._progress,
                request_id=request_id,
            )
            if self._more.tasks and (task := begun(result)) is not None:
                with self._connection.hearing(request_id, self._conversation.progress):
                    return await follow(
                        task, self._conversation, self._ask, is_modern=self._connection.is_modern
                    )
            if result.get("resultType") != "input_required":
                return result
            asked = result.get("inputRequests") or {}
            sent = dict(given)
            if asked:
                sent["inputResponses"] = await self._conversation.ask_all(asked)
            if "requestState" in result:
                sent["requestState"] = result["requestState"]

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request about the task that the call has become."""
        return await self._connection.request(
            method,
            {**params, "_meta": self._around.meta},
            call=self._conversation if method == "tasks/result" else None,
            headers=self._around.headers,
            capabilities=self._capabilities,
        )
