"""An API on a socket that writes down what arrives, and tools made from a description of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from scopedtools import ScopedServer
from scopedtools.openapi import OpenApi
from scopedtools.testing import Client
from tests.hosting import hosted


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire: path and query undecoded, headers in the order of arrival."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


Answer = Callable[[Seen], Response]


def empty(_: Seen) -> Response:
    return JSONResponse({})


@dataclass
class Recorder:
    """Answers every request in one way, and keeps them."""

    answer: Answer = empty
    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        one = Seen(
            request.method,
            scope["raw_path"].decode(),
            scope["query_string"].decode(),
            headers,
            await request.body(),
        )
        self.seen.append(one)
        await self.answer(one)(scope, receive, send)

    @property
    def last(self) -> Seen:
        return self.seen[-1]


class Stage:
    """Where one recorder after another is reached: a socket takes longer to open than most tests run."""

    def __init__(self) -> None:
        self._address: tuple[str, int] | None = None
        self._recorder: Recorder | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._recorder is not None:
            await self._recorder(scope, receive, send)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with hosted(self) as self._address:
            yield

    @contextmanager
    def playing(self, recorder: Recorder) -> Iterator[str]:
        """Let a recorder answer; yield its origin."""
        assert self._address is not None
        assert self._recorder is None
        self._recorder = recorder
        try:
            yield "http://{}:{}".format(*self._address)
        finally:
            self._recorder = None


STAGE = Stage()


@dataclass(frozen=True)
class Tools:
    """A client of a server whose tools call the recorder.

    Attributes:
        api: Where the tools come from.
        client: Calls them.
        recorder: What they reach.
        base_url: Where that is.
    """

    api: OpenApi
    client: Client
    recorder: Recorder
    base_url: str

    async def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        return await self.client.call_tool(name, **arguments)

    async def arriving(self, name: str, /, **arguments: Any) -> Seen:
        """Call a tool, and return the request that arrives."""
        before = len(self.recorder.seen)
        result = await self.call(name, **arguments)
        assert not result.get("isError"), result
        assert len(self.recorder.seen) == before + 1
        return self.recorder.last

    async def failing(self, name: str, /, **arguments: Any) -> str:
        """Call a tool that fails, and return what it says."""
        result = await self.call(name, **arguments)
        assert result.get("isError"), result
        said: str = result["content"][0]["text"]
        return said

    def schema(self, name: str) -> dict[str, Any]:
        schema: dict[str, Any] = self.row(name)["inputSchema"]
        return schema

    def row(self, name: str) -> dict[str, Any]:
        ordinal = self.api.catalog.find("tool", name)
        assert ordinal is not None, [row.name for row in self.api.catalog.rows]
        return self.api.catalog.rows[ordinal].wire()


def described(
    paths: Mapping[str, Any],
    *,
    version: str = "3.0.3",
    components: Mapping[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """Return a description."""
    info = {"title": "Shelves", "version": "1"}
    return {"openapi": version, "info": info, "paths": paths, "components": components or {}, **rest}


def operation(name: str, **fields: Any) -> dict[str, Any]:
    """Return an operation that answers with an object of any kind."""
    return {"operationId": name, "responses": {"200": {"description": "ok"}}, **fields}


def parameter(name: str, place: str, schema: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": schema, **required, **fields}


def json_body(schema: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


@asynccontextmanager
async def tools(
    description: Mapping[str, Any],
    answer: Answer = empty,
    *,
    path: str = "",
    context: str | None = None,
    **settings: Any,
) -> AsyncIterator[Tools]:
    """Serve the recorder, and a server of the description before it.

    Args:
        description: As a file holds it.
        answer: What the recorder answers.
        path: Of the API below its origin.
        context: Context ID of the client.
        settings: Of `OpenApi`.
    """
    recorder = Recorder(answer)
    with STAGE.playing(recorder) as origin:
        base_url = f"{origin}{path}"
        api = OpenApi.load(description, **{"base_url": base_url, **settings})
        server = ScopedServer()
        server.mount(api)
        async with Client(server, context=context) as client:
            yield Tools(api, client, recorder, base_url)
