"""``scopedtools serve`` as people start it, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from tests.wire.exchange import ENVELOPE, message, mirrored

COMMAND: Final = Path(sys.executable).with_name("scopedtools")
LIMIT_S: Final = 60
AT: Final = re.compile(r"running on (http://127\.0\.0\.1:\d+)")

_Thing = TypeVar("_Thing")


class Served:
    """A server in a process.

    Attributes:
        process: It, or what watches its workers.
        url: Of the root of the host.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self.url = ""

    @property
    def said(self) -> str:
        return self._log.read_text()

    async def until(self, found: Callable[[], Awaitable[_Thing | None]]) -> _Thing:
        """Return what is found at last; a connection that fails is nothing."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    if thing := await found():
                        return thing
                except httpx2.TransportError:
                    assert self.process.poll() is None, self.said
                await asyncio.sleep(0.02)

    async def until_said(self, text: str, *, times: int = 1) -> None:
        async def said() -> bool:
            return self.said.count(text) >= times

        await self.until(said)

    async def until_found(self, file: Path) -> None:
        async def found() -> bool:
            return file.exists()  # noqa: ASYNC240 - it takes no time

        await self.until(found)

    async def state(self) -> int:
        """Ask over a connection of its own whether it is ready."""
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"{self.url}/readyz")).status_code

    async def call(self, http: httpx2.AsyncClient, name: str, **arguments: Any) -> dict[str, Any]:
        return await self.ask(http, "tools/call", name=name, arguments=arguments)

    async def ask(self, http: httpx2.AsyncClient, method: str, **params: Any) -> dict[str, Any]:
        reply: dict[str, Any] = msgspec.json.decode(await self.text(http, method, **params))
        return reply

    async def until_refused(self) -> None:
        """Wait until it takes no connections any more."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    await self.state()
                except httpx2.ConnectError:
                    return
                except httpx2.TransportError:
                    pass  # it was taken, and dropped
                await asyncio.sleep(0.02)

    async def text(self, http: httpx2.AsyncClient, method: str, **params: Any) -> str:
        """Return the whole answer, of a stream too."""
        request = message(method, {"_meta": ENVELOPE, **params})
        body, headers = msgspec.json.encode(request), {**mirrored(request), "mcp-client-session-id": "work-1"}
        answer = await http.post(f"{self.url}/mcp", content=body, headers=headers, timeout=LIMIT_S)
        return answer.text

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, LIMIT_S)


@asynccontextmanager
async def served(
    folder: Path, *options: str, through: Sequence[str] = (), **variables: str
) -> AsyncIterator[Served]:
    """Start a server, by what runs a command if anything, and yield it when it is ready."""
    log = folder / "log.txt"
    command = [*through, str(COMMAND), "serve", *options, "--port", "0"]
    environment = {**os.environ, **variables}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stderr=output, stdout=output, env=environment)  # noqa: ASYNC220 - it starts at once
        server = Served(process, log)
        try:
            async with asyncio.timeout(LIMIT_S):
                while not (at := AT.search(server.said)):
                    assert process.poll() is None, server.said
                    await asyncio.sleep(0.02)
            server.url = at[1]

            async def ready() -> bool:
                return await server.state() == 200

            await server.until(ready)
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
