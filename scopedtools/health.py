"""How a server is, for those who watch over it: alive, ready for requests, or about to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from scopedtools.storage import Degradable

LIVE_PATH: Final = "/livez"
READY_PATH: Final = "/readyz"

_UNKEPT: Final = {"cache-control": "no-store"}

Ranking = Literal["not needed", "preparing", "ready", "failed"]
"""How what ranks rows is. Where it failed, lists do without it."""


class Health:
    """Answers ``GET /livez`` and ``GET /readyz``.

    Alive is whatever answers. Ready is a server whose start is over and whose lists need not wait for what
    ranks rows; one that is about to stop is not. A store, or a selector, that fails makes no difference:
    requests are answered without them, and another replica would do no better. The answers say nothing of
    what is served or to whom, so that whoever asks may read them, under any name of the host.

    Args:
        ranking: Tells how what ranks rows is.
        store: Keeps what contexts were shown.

    Attributes:
        routes: At the root of the host.
    """

    def __init__(self, *, ranking: Callable[[], Ranking], store: object) -> None:
        self._ranking = ranking
        self._store = store
        self._phase: Literal["starting", "serving", "draining"] = "starting"
        self.routes: tuple[Route, ...] = (
            Route(LIVE_PATH, self._live, methods=["GET"]),
            Route(READY_PATH, self._ready, methods=["GET"]),
        )

    @property
    def is_ready(self) -> bool:
        """Whether requests should come here."""
        return self._phase == "serving" and self._ranking() != "preparing"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Be ready for as long as this is held."""
        self._phase = "serving"
        try:
            yield
        finally:
            self._phase = "draining"

    def drain(self) -> None:
        """Be ready no more, though requests are answered still."""
        self._phase = "draining"

    async def _live(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "alive"}, headers=_UNKEPT)

    async def _ready(self, _: Request) -> JSONResponse:
        ready = self.is_ready
        phase = "starting" if self._phase == "serving" else self._phase
        said = {"status": "ready" if ready else phase, "ranking": self._ranking(), "store": self._state()}
        return JSONResponse(said, 200 if ready else 503, headers=_UNKEPT)

    def _state(self) -> Literal["ok", "degraded"]:
        degraded = isinstance(self._store, Degradable) and self._store.is_degraded
        return "degraded" if degraded else "ok"
