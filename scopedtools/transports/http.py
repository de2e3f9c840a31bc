"""Streamable HTTP: one endpoint, one JSON-RPC message to a POST.

Source: the Streamable HTTP pages of the specification, 2025-03-26 to 2026-07-28.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias, cast

from msgspec import UNSET, Raw, UnsetType
from starlette.types import Receive, Scope, Send

from scopedtools.auth.bearer import Authorizer
from scopedtools.auth.errors import AuthorizationError
from scopedtools.exceptions import InvalidRequestError, LimitError, ProtocolError
from scopedtools.limits import Limits
from scopedtools.memo import Memo
from scopedtools.protocol import mirrors
from scopedtools.protocol.batch import is_batch, run_batch
from scopedtools.protocol.dispatch import Dispatcher, to_protocol_error
from scopedtools.protocol.envelope import Message, decode, failure, id_of
from scopedtools.protocol.exchange import SILENCE
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import REVISIONS, UNNAMED, Revision
from scopedtools.protocol.understood import Again, Understood, understand
from scopedtools.transports import sse
from scopedtools.transports.answers import (
    Answer,
    Refusal,
    answer_with,
    json_headers,
    not_allowed,
    refused,
    rejection,
    send_answer,
)
from scopedtools.transports.attending import answered, attended, disconnected
from scopedtools.transports.bodies import Bodies
from scopedtools.transports.heads import Head, Heads, token_of
from scopedtools.transports.hosts import HostPolicy
from scopedtools.transports.questions import Questions
from scopedtools.transports.sessions import HttpSession, Sessions
from scopedtools.transports.sse import Stream, StreamExchange
from scopedtools.types import ANONYMOUS, Principal

_LISTS: Final = frozenset(name for name, method in METHODS.items() if method.params is ListParams)

_UNDERSTOOD: Final = 4096
_UNDERSTOOD_BYTES: Final = 64 * 2**20
"""Requests for lists that are understood at sight, and their size."""

_LONG: Final = 4096
"""Bytes of parameters from which a request is read anew each time."""

_DECODED: Final = 24
"""Bytes that one of JSON takes at most when it is decoded."""

SESSION_HEADER: Final = "mcp-session-id"

_RETRY_MS: Final = 500
"""Milliseconds after which a client comes back to a stream that it lost."""

Lacking: TypeAlias = Callable[[Request], Awaitable[frozenset[str]]]
"""Takes a request; returns the OAuth scopes that it needs, if its principal lacks any of them."""


class HttpTransport:
    """The MCP endpoint as an ASGI callable.

    Args:
        dispatcher: Answers messages.
        authorizer: Tells who asks; without one everybody is anonymous.
        lacking: Tells which scopes to refuse a request for; ``None`` where rows need none.
        sessions: Sessions of earlier revisions, or ``None`` to serve those without.
        hosts: Decides who may call by host and origin.
        varies_by: Request headers that answers depend on.
        limits: Of size, depth and time of bodies.
        keepalive_s: Seconds of silence on a stream after which a comment is sent.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        authorizer: Authorizer | None = None,
        lacking: Lacking | None = None,
        sessions: Sessions | None = None,
        hosts: HostPolicy | None = None,
        varies_by: Iterable[str] = (),
        limits: Limits | None = None,
        keepalive_s: float = sse.KEEPALIVE_S,
    ) -> None:
        self._dispatcher = dispatcher
        self._authorizer = authorizer
        self._lacking = lacking
        self._sessions = sessions
        self._heads = Heads(hosts or HostPolicy(), checks_tokens=authorizer is not None)
        # A list is asked for with the same words again and again; what a call says is its own.
        self._understood: Memo[Understood] = Memo(max_items=_UNDERSTOOD, max_bytes=_UNDERSTOOD_BYTES)
        self._described = json_headers(varies_by)
        limits = limits or Limits()
        self._bodies = Bodies(limits)
        self._max_depth = limits.max_json_depth
        self._keepalive_s = keepalive_s
        self._questions = Questions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            head = self._heads.read(scope)
            head.require_served()
            principal = ANONYMOUS
            if self._authorizer is not None:
                principal = await self._authorizer.authenticate(token_of(scope))
            if scope["method"] == "POST":
                answer = await self._post(scope, head, principal, receive, send)
            else:
                answer = await self._in_session(scope, head.headers, principal, receive, send)
        except Refusal as refusal:
            answer = Answer(refusal.status, failure(UNSET, refusal.error).body, refusal.headers)
        except AuthorizationError as refusal:
            answer = refused(UNSET, refusal)
        except LimitError as error:
            answer = rejection(UNSET, error, {})
        except Exception as error:  # noqa: BLE001 - such as a verifier that fails
            answer = Answer(500, failure(UNSET, to_protocol_error(error)).body)
        if answer is not None:
            await send_answer(send, answer, self._described)

    async def _in_session(
        self, scope: Scope, headers: Mapping[str, str], principal: Principal, receive: Receive, send: Send
    ) -> Answer | None:
        """Follow a session, or end it."""
        if self._sessions is None or scope["method"] not in ("GET", "DELETE"):
            raise not_allowed("POST")
        if not mirrors.is_legacy(headers.get(mirrors.VERSION_HEADER)):
            raise not_allowed("POST")
        await self._dispatcher.gate.visit(Ingress(principal, address=_address(scope)))
        session = self._session(headers, principal)
        if scope["method"] == "DELETE":
            self._sessions.end(session)
            return Answer(204)
        await self._follow(session, headers, receive, send)
        return None

    async def _post(
        self, scope: Scope, head: Head, principal: Principal, receive: Receive, send: Send
    ) -> Answer | None:
        """Return what to answer to a message, or ``None`` where the answer was a stream and is over."""
        head.require_fit()
        body = await self._bodies.read(head.headers, receive)
        if is_batch(body) and _has_batches(head.headers):
            return await self._batch(body, scope, head, principal)
        try:
            message = decode(body, max_depth=self._max_depth)
        except ProtocolError as error:
            return Answer(400, failure(id_of(body), error).body)
        if message.method is UNSET:
            self._questions.answer(message, principal)
            return Answer(202)
        return await self._answer_message(message, scope, head, principal, receive=receive, send=send)

    async def _answer_message(
        self,
        message: Message,
        scope: Scope,
        head: Head,
        principal: Principal,
        *,
        receive: Receive,
        send: Send,
    ) -> Answer | None:
        session = self._session_of(message, head.headers, principal)
        stream = _stream(message, session)
        ingress = Ingress(
            principal,
            head.lines,
            scope.get("query_string", b""),
            SILENCE if stream is None else StreamExchange(stream, self._questions, principal),
            session.state if session is not None else None,
            address=_address(scope),
        )
        try:
            request = self._admit(message, head, ingress)
            await self._dispatcher.gate.admit(request)
            if self._authorizer is not None and self._lacking is not None:
                # Before it runs: once an answer is a stream, its status is said.
                self._authorizer.require(principal, await self._lacking(request))
        except Exception as error:  # noqa: BLE001 - nothing a client sends may end in a bare failure
            return rejection(message.id, error, head.headers)
        if request.id is None:
            if session is not None:
                session.cancel(request)
            return Answer(202)
        if stream is not None and session is not None:
            await self._converse(request, session, stream, receive, send)
            return None
        if stream is not None:
            stream_out = partial(self._stream_out, stream, None, send)
            running = answered(self._dispatcher.run(request), request.id)
            reply = await attended(running, stream, receive=receive, stream_out=stream_out)
            return None if reply is None else answer_with(reply, request)
        reply = await answered(self._dispatcher.run(request), request.id)
        if session is None or request.method.name != "initialize" or reply.code is not None:
            return answer_with(reply, request)
        if self._sessions is not None:
            self._sessions.keep(session)
        return answer_with(reply, request, ((SESSION_HEADER.encode(), session.id.encode()),))

    async def _batch(self, body: bytes, scope: Scope, head: Head, principal: Principal) -> Answer:
        headers = head.headers
        session = self._session(headers, principal) if self._sessions is not None else None
        state = session.state if session is not None else None
        try:
            replies = await run_batch(
                body,
                self._dispatcher,
                identify=partial(mirrors.identify, headers.get(mirrors.VERSION_HEADER)),
                ingress=Ingress(
                    principal,
                    head.lines,
                    scope.get("query_string", b""),
                    session=state,
                    address=_address(scope),
                ),
                answered=lambda message: self._questions.answer(message, principal),
                max_depth=self._max_depth,
            )
        except ProtocolError as error:
            return Answer(400, failure(UNSET, error).body)
        return Answer(202) if replies is None else Answer(200, replies)

    def _admit(self, message: Message, head: Head, ingress: Ingress) -> Request:
        name, params = cast("str", message.method), message.params
        if name in _LISTS and ingress.session is None and not ingress.query:
            understood = self._list_request(name, params, head)
        else:
            agreed = ingress.session.revision if ingress.session is not None else UNNAMED
            understood = _understood(name, params, head, agreed)
        request = self._dispatcher.admit(message, understood, ingress)
        if request.revision.stateless and request.id is not None:
            mirrors.check(request, head.headers)
        return request

    def _list_request(self, name: str, params: Raw | UnsetType, head: Head) -> Understood:
        if params is UNSET or len(params) > _LONG or not head.remembered:
            return _understood(name, params, head)
        asked = (name, bytes(params), head)
        known = self._understood.get(asked)
        if known is not None:
            return known
        understood = _understood(name, params, head)
        if not self._understood.admits(asked):
            return understood
        size_bytes = _DECODED * len(params)
        return self._understood.put(asked, understood._replace(again=Again()), size_bytes=size_bytes)

    async def _converse(
        self, request: Request, session: HttpSession, stream: Stream, receive: Receive, send: Send
    ) -> None:
        """Run a request of a session. It goes on without its client, who may come back for the answer."""
        running = asyncio.create_task(self._run(request, stream))
        session.running(request, running, stream)
        gone = _watch(receive, partial(stream.leave, 0))
        try:
            # Even a lone result goes out as a stream: who loses the connection can only come back to one.
            await self._stream_out(stream, session, send, retry_ms=_RETRY_MS)
        finally:
            gone.cancel()

    async def _run(self, request: Request, stream: Stream) -> None:
        try:
            reply = await self._dispatcher.run(request)
            await stream.put(reply.body)
        finally:
            stream.close()

    async def _follow(
        self, session: HttpSession, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """Send the messages of a session that belong to no request, or the rest of a stream that was lost."""
        if "text/event-stream" not in headers.get("accept", ""):
            raise Refusal(406, InvalidRequestError("Accept must include text/event-stream"))
        last = headers.get("last-event-id")
        place = (session.push, session.push.unread) if last is None else session.resume(last)
        if place is None:
            raise Refusal(404, InvalidRequestError("There is no such event any longer, call again"))
        stream, start = place
        reader = stream.take_over()  # a message goes to one connection only, and this one is the newest
        gone = _watch(receive, partial(stream.leave, reader))
        try:
            await self._stream_out(stream, session, send, start=start, reader=reader)
        finally:
            gone.cancel()

    async def _stream_out(
        self,
        stream: Stream,
        session: HttpSession | None,
        send: Send,
        *,
        start: int = 0,
        reader: int = 0,
        retry_ms: int | None = None,
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": sse.HEADERS})
        await sse.pump(
            stream,
            send,
            start=start,
            reader=reader,
            retry_ms=retry_ms,
            keepalive_s=self._keepalive_s,
            alive=partial(self._touch, session),
        )

    def _touch(self, session: HttpSession | None) -> None:
        if session is not None and self._sessions is not None:
            self._sessions.touch(session)

    def _session_of(
        self, message: Message, headers: Mapping[str, str], principal: Principal
    ) -> HttpSession | None:
        """Return the session of a message of an earlier revision, a new one for ``initialize``."""
        if self._sessions is None or not mirrors.is_legacy(headers.get(mirrors.VERSION_HEADER)):
            return None
        if message.method == "initialize":
            return self._sessions.new(principal)
        return self._session(headers, principal)

    def _session(self, headers: Mapping[str, str], principal: Principal) -> HttpSession:
        session_id = headers.get(SESSION_HEADER)
        if session_id is None:
            raise Refusal(400, InvalidRequestError("Send the Mcp-Session-Id that initialize gave"))
        session = self._sessions.get(session_id, principal) if self._sessions is not None else None
        if session is None:
            raise Refusal(404, InvalidRequestError("There is no such session, initialize again"))
        return session


def _understood(
    name: str, params: Raw | bytes | UnsetType, head: Head, agreed: Revision = UNNAMED
) -> Understood:
    version = head.headers.get(mirrors.VERSION_HEADER)
    return understand(name, params, partial(mirrors.identify, version, agreed=agreed))


def _address(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0]


def _has_batches(headers: Mapping[str, str]) -> bool:
    revision = REVISIONS.get(headers.get(mirrors.VERSION_HEADER, UNNAMED.name))
    return revision is not None and revision.batches


def _watch(receive: Receive, leave: Callable[[], object]) -> asyncio.Task[None]:
    """Watch the client; call ``leave`` when it closes the connection."""

    async def gone() -> None:
        if await disconnected(receive):
            leave()

    return asyncio.create_task(gone())


def _stream(message: Message, session: HttpSession | None) -> Stream | None:
    """Make the stream that a request may answer with, or ``None`` for one that never does."""
    method = METHODS.get(message.method or "")
    if method is None or message.id is UNSET or message.method == "initialize":
        return None
    if session is not None:
        return session.stream()  # every answer in a session can be fetched again
    return Stream() if method.interactive else None
