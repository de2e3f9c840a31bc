"""Forms that are opened for contexts, and time that passes when it is told to."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from scopedtools import Context, ContextLocal, Principal
from scopedtools.context.carriers import CarrierTable
from scopedtools.context.context import ContextResolver
from scopedtools.context.store import MemoryStore
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST
from scopedtools.types import ANONYMOUS

RESOLVER = ContextResolver(CarrierTable(), store=MemoryStore(), secret=b"secret")


def of(context_id: str | None, principal: Principal = ANONYMOUS) -> Context:
    own = {} if context_id is None else {"clientSessionId": context_id}
    ingress = Ingress(principal=principal)
    return RESOLVER.resolve(Request(METHODS["tools/list"], ListParams(meta=own), LATEST, ingress, 1))


class Timer:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Timers:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.arranged: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        self.arranged.append(Timer(when, callback))
        return self.arranged[-1]

    async def pass_until(self, now_s: float) -> None:
        self.now_s = now_s
        for timer in [one for one in self.arranged if one.when <= now_s]:
            self.arranged.remove(timer)
            if timer.callback is not None:
                timer.callback()
        await settle()


async def settle() -> None:
    """Let every task go on as far as it can without anything from outside."""
    for _ in range(20):
        await asyncio.sleep(0)


class Forms:
    """Opens forms that are numbered, when it may; remembers what happened."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.closed = asyncio.Event()
        self.fails: Exception | None = None
        self.fails_to_close: set[str] = set()
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[str]:
        name = f"{ctx.id}{next(self._numbers)}"
        self.said.append(f"opening {name}")
        await self.may_open.wait()
        if self.fails is not None:
            raise self.fails
        yield name
        await self.may_close.wait()
        self.said.append(f"closed {name}")
        self.closed.set()
        if name in self.fails_to_close:
            raise OSError(f"{name} hangs")


async def used(local: ContextLocal[str], context_id: str, principal: Principal = ANONYMOUS) -> str:
    async with local.use(of(context_id, principal)) as form:
        return form
