"""From a message to its reply: find the method, read its parameters, run its handler, encode the answer."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, cast

import msgspec
from msgspec import UNSET, Raw

from scopedtools.exceptions import InternalError, InvalidParamsError, InvalidRequestError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.envelope import Message, MessageId, Reply, answer, failure
from scopedtools.protocol.gate import Gate, Handler, OpenGate
from scopedtools.protocol.inputs import asked_in
from scopedtools.protocol.methods import Method, unknown_method
from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.request import Ingress, Pin, Request
from scopedtools.protocol.results import (
    CallResult,
    InputRequiredResult,
    ListResult,
    Result,
    result_type,
    stamp,
)
from scopedtools.protocol.understood import Understood
from scopedtools.types import Outcome

_log: Final = logging.getLogger(__name__)

_WRONG_ID: Final = {
    False: "{!r} is a request, send it with an 'id'",
    True: "{!r} is a notification, leave out 'id'",
}


Begin: TypeAlias = Callable[[Request, Any], Callable[[Outcome], None]]
"""Sees a request begin; returns what sees it end."""

_CANCELLED: Final = Outcome("cancelled")


class Asker(Protocol):
    """Who asks, as far as every answer depends on it."""

    @property
    def echo(self) -> Mapping[str, Any]:
        """What the ``_meta`` of each result repeats."""
        ...


class Edition(Protocol):
    """What answers requests, all of one catalog."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What answers each method."""
        ...


class Dispatcher:
    """Runs requests against handlers. Knows no transport.

    Args:
        edition: What answers requests that are admitted from now on; those under way keep theirs.
        server_info: Name and version, for every result.
        resolve: Tells who asks and in which context; raises `ProtocolError` where that cannot be told.
        gate: Lets requests in while there is room. Transports ask it once they know what a request is.

    Attributes:
        gate: The same.
    """

    def __init__(
        self,
        edition: Edition,
        *,
        server_info: Mapping[str, Any],
        resolve: Callable[[Request], Asker],
        gate: Gate | None = None,
    ) -> None:
        self.edition = edition
        self._server_info = Raw(msgspec.json.encode(server_info))
        self._resolve = resolve
        self.gate: Gate = gate or OpenGate()
        self._observers: tuple[Begin, ...] = ()

    def observe(self, begin: Begin) -> None:
        """Show every request to one more observer, which sees it end before those that were added earlier."""
        self._observers = (*self._observers, begin)

    def admit(self, message: Message, understood: Understood, ingress: Ingress) -> Request:
        """Let in a request or a notification.

        Args:
            message: As it came.
            understood: What it asks for.
            ingress: What the transport knows of it.

        Raises:
            ProtocolError: The method or the parameters are wrong.
        """
        name, method, params, revision, problem, again = understood
        edition = self.edition
        if method is None or not method.exists_at(revision) or not _serves(edition, method):
            raise unknown_method(name, revision)
        if method.notification != (message.id is UNSET):
            raise InvalidRequestError(_WRONG_ID[method.notification].format(name))
        if problem is not None:
            raise InvalidParamsError(problem)
        if revision.stateless and not method.notification:
            _require_envelope(params.meta)
        message_id = None if message.id is UNSET else message.id
        return Request(method, params, revision, ingress, message_id, pin=Pin(edition), again=again)

    async def run(self, request: Request) -> Reply:
        """Run the handler of a request and encode what comes of it; never raises an `Exception`."""
        message_id = cast("MessageId", request.id)
        ended: list[Callable[[Outcome], None]] = []
        outcome = _CANCELLED
        try:
            ctx = self._resolve(request)
            ended = [begin(request, ctx) for begin in self._observers]
            try:
                result = await self.gate.run(request, ctx, self._handler(request))
            except BaseException as error:
                asking = _questions_of(error)
                if asking is None:
                    raise
                result = asking
            reply = answer(message_id, self._finished(result, request, ctx))
        except Exception as error:  # noqa: BLE001 - the one place where anything becomes a wire error
            problem = to_protocol_error(error)
            outcome = Outcome("error", problem.code)
            return failure(message_id, problem)
        else:
            if ended:
                outcome = outcome_of(result.copy() if isinstance(result, Prepared) else result)
            return reply
        finally:
            for end in reversed(ended):
                end(outcome)

    def _handler(self, request: Request) -> Handler:
        # Not where it runs: a request that lasts long would keep a catalog that was replaced.
        edition: Edition = request.edition or self.edition
        return edition.handlers[request.method.name]

    def _finished(self, result: Result | Prepared, request: Request, ctx: Asker) -> Result | Raw:
        if isinstance(result, Prepared) and not ctx.echo:
            return result.encoded(self._server_info)
        return stamp(_bare(result), request.revision, self._server_info, ctx.echo)


def _questions_of(error: BaseException) -> Result | None:
    """Return what asks the client, where a handler ended with questions."""
    needed = asked_in(error)
    if needed is None:
        return None
    asked = {key: question.wire() for key, question in needed.questions.items()}
    return InputRequiredResult(input_requests=asked, request_state=needed.seal())


def _serves(edition: Edition, method: Method) -> bool:
    return method.notification or method.name in edition.handlers


def _bare(result: Result | Prepared) -> Result:
    return result.result if isinstance(result, Prepared) else result


def outcome_of(result: Result) -> Outcome:
    """Tell observers how a request ended that has a result."""
    view = result.meta.get(meta.VIEW) if isinstance(result, ListResult) and result.meta else None
    revision = view["revision"] if view else None
    if isinstance(result, CallResult) and result.is_error:
        return Outcome("tool_error", result=result)
    kind = result_type(result)
    return Outcome("ok" if kind == "complete" else kind, view=revision, result=result)


def to_protocol_error(error: Exception) -> ProtocolError:
    """Turn any exception into what the client may know of it."""
    if isinstance(error, ProtocolError):
        return error
    reference = log_unexpected(error)
    return InternalError(f"Internal error, reference {reference}")


def log_unexpected(error: Exception) -> str:
    """Log an exception that nobody foresaw, under a reference that is safe to show; return it."""
    reference = secrets.token_hex(4)
    _log.error("unexpected error, reference %s", reference, exc_info=error)
    return reference


def _require_envelope(request_meta: Mapping[str, Any]) -> None:
    # A header may have told the revision; the body has to say it all the same.
    if request_meta.get(meta.PROTOCOL_VERSION) is None:
        raise InvalidParamsError(f"_meta needs the protocol revision in {meta.PROTOCOL_VERSION!r}")
    if not isinstance(request_meta.get(meta.CLIENT_CAPABILITIES), dict):
        raise InvalidParamsError(f"_meta needs an object {meta.CLIENT_CAPABILITIES!r}, send {{}} for none")
