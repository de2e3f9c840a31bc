"""Targets: JSON-RPC messages, their parameters, batches of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from scopedtools.context.carriers import is_context_id
from scopedtools.context.context import INTENT_CHARACTERS, Context, ContextResolver
from scopedtools.exceptions import InvalidRequestError, ParseError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.batch import run_batch
from scopedtools.protocol.envelope import MessageId, decode, failure, id_of
from scopedtools.protocol.methods import METHODS
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST, MARCH_2025, REVISIONS
from scopedtools.protocol.session import LEVELS
from scopedtools.protocol.understood import understand
from tests.fuzz.server import TOKEN, servers
from tests.fuzz.target import Target, awaited, pieces, require

ENVELOPE: Final = {meta.PROTOCOL_VERSION: LATEST.name, meta.CLIENT_CAPABILITIES: {}}

PARAMS: Final[dict[str, dict[str, Any]]] = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c"}},
    "notifications/cancelled": {"requestId": 1, "reason": "late"},
    "tools/list": {"cursor": "YWI6MQ=="},
    "tools/call": {"name": "find", "arguments": {"title": "Dune", "limit": 3}},
    "resources/read": {"uri": "shelf://hall/a/b"},
    "resources/subscribe": {"uri": "shelf://all"},
    "resources/unsubscribe": {"uri": "shelf://all"},
    "prompts/get": {"name": "recommend", "arguments": {"taste": "odd"}},
    "completion/complete": {
        "ref": {"type": "ref/resource", "uri": "shelf://{room}/{+path}"},
        "argument": {"name": "room", "value": "h"},
        "context": {"arguments": {"path": "x"}},
    },
    "logging/setLevel": {"level": "warning"},
    "subscriptions/listen": {
        "notifications": {
            "toolsListChanged": True,
            "resourceSubscriptions": ["shelf://all"],
            "taskIds": ["t"],
        }
    },
    "tasks/get": {"taskId": "t-1"},
    "tasks/update": {"taskId": "t-1", "inputResponses": {"elicitation-1": {"action": "decline"}}},
    "tasks/cancel": {"taskId": "t-1"},
}
"""Good parameters of each method that takes some."""

CALLS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "order",
        "arguments": {"title": "Dune"},
        "inputResponses": {"elicitation-1": {"action": "accept"}},
    },
    {"name": "order", "arguments": {"title": "Dune"}, "requestState": "gAAAA"},
    {"name": "shelve", "arguments": {"room": "hall", "books": [{"title": "Dune", "copies": 2}]}},
    {"name": "count", "arguments": {"steps": 3}, "_meta": {"progressToken": 7}},
    {"name": "keep", "arguments": {"name": "a", "value": {"b": [1, None]}}},
    {"name": "call_tool", "arguments": {"name": "find", "arguments": {"title": "Dune"}}},
    {"name": "search_tools", "arguments": {"query": "find books"}},
)

CAPABILITIES: Final = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {},
    "roots": {"listChanged": True},
    "experimental": {meta.EXTENSION: {"growth": True}},
    "extensions": {
        meta.TASKS: {},
        meta.EXTENSION: {
            "contextId": "c-1",
            "intent": "buy books",
            "parent": "p-1",
            "cacheScopes": ["context"],
        },
    },
}

METAS: Final[tuple[dict[str, Any], ...]] = (
    ENVELOPE | {meta.CLIENT_CAPABILITIES: CAPABILITIES},
    {
        meta.INTENT: "buy books",
        meta.PARENT: "p",
        meta.REPLY: "yes",
        meta.EXPLAIN: True,
        meta.IF_REVISION: "ab",
    },
    {meta.LOG_LEVEL: "debug", "progressToken": "t", "baggage": "session.id=s-1;p=1,a=b"},
    {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"},
    *(
        {**host.get("meta", {}), **host.get("call_meta", {})}
        for host in json.loads((Path(__file__).parents[1] / "context" / "host_requests.json").read_text())
        if host.get("meta") or host.get("call_meta")
    ),
)
"""What hosts put into ``_meta``, each at once."""

DEPTH: Final = 64

WORDS: Final = tuple(
    word.encode()
    for word in (
        *METHODS,
        *REVISIONS,
        *LEVELS,
        *(key for one in METAS for key in one),
        *(key for one in (*PARAMS.values(), *CALLS, CAPABILITIES) for key in one),
        *("find", "order", "shelve", "count", "keep", "recommend", "shelf://all", "shelf://hall/a"),
        *("jsonrpc", "id", "method", "params", "result", "error", "_meta", "contextId", "action", "accept"),
        *("1e999", "-0", "18446744073709551616", "\\ud800", "\\u0000", "NaN", "[]", "{}", "null", "2.0"),
    )
)


def message(method: str, params: dict[str, Any] | None = None, *, message_id: Any = 1) -> bytes:
    """Make a message; one without an ID is a notification."""
    known = METHODS[method]
    made: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if not known.notification:
        made["id"] = message_id
    return msgspec.json.encode(made | ({} if params is None else {"params": params}))


MESSAGES: Final = (
    *(message(method, PARAMS.get(method)) for method in METHODS),
    *(message("tools/call", call, message_id="a") for call in CALLS),
    *(message("tools/list", {"_meta": one}) for one in METAS),
    b'{"jsonrpc":"2.0","id":"q","result":{"action":"accept","content":{"title":"Dune"}}}',
    b'{"jsonrpc":"2.0","id":9,"error":{"code":-32603,"message":"no","data":[1]}}',
)


def check_message(data: bytes) -> None:
    """A message is read, or refused in one of two ways; its ID survives, and so does all the rest."""
    try:
        read = decode(data)
    except (ParseError, InvalidRequestError) as error:
        check_failure(id_of(data), error, data)
        return
    require(depth_of(msgspec.json.decode(data)) <= DEPTH, "nothing deep comes through")
    again = decode(msgspec.json.encode(read))
    require(again == read, "a message is the same when it is written down and read again")
    require(id_of(data) == read.id, "its ID is found without the rest")


def depth_of(value: Any) -> int:
    """Return how many objects and lists of a JSON value are inside each other."""
    depth, level = 0, [value]
    while True:
        inner = [one for one in level if isinstance(one, dict | list)]
        if not inner:
            return depth
        depth += 1
        level = [of for one in inner for of in (one.values() if isinstance(one, dict) else one)]


def check_failure(message_id: MessageId | msgspec.UnsetType, error: ProtocolError, data: bytes) -> None:
    """An error is one JSON-RPC message that is not much longer than what it is about."""
    body = failure(message_id, error).body
    reply = msgspec.json.decode(body)
    require(
        set(reply) <= {"jsonrpc", "id", "error"} and reply["error"]["message"], "an error says what it is"
    )
    require(len(body) <= 1000 + 8 * len(data), "an error does not make more of a message than it is")


def check_params(data: bytes) -> None:
    """Parameters of any method at any revision are read, or refused as the protocol says."""
    name, revision, raw = pieces(data, 3)
    try:
        method = name.decode()
        speaks = REVISIONS.get(revision.decode(), LATEST)
    except UnicodeDecodeError:
        return
    try:
        read = decode(b'{"jsonrpc":"2.0","id":1,"method":"m","params":%b}' % (raw or b"{}"))
        understood = understand(method, read.params, lambda _: speaks)
    except ProtocolError as error:
        check_failure(1, error, data)
        return
    require((understood.method is None) == (method not in METHODS), "methods are known by name")
    if understood.method is None or understood.problem is not None:
        return
    require(
        isinstance(understood.params, understood.method.params), "parameters have the shape of their method"
    )
    _check_request(Request(understood.method, understood.params, speaks, Ingress(), 1))


def _check_request(request: Request) -> None:
    """Whatever a request says of itself can be asked for."""
    require(request.target is None or isinstance(request.target, str), "a target is text")
    require(request.tool is None or isinstance(request.tool, str), "a tool is text")
    capabilities, follows = request.client_capabilities, request.follows_tasks
    require(capabilities is None or isinstance(capabilities, dict), "capabilities are an object")
    require(isinstance(follows, bool), "a client follows tasks or not")
    try:
        ctx = _resolver().resolve(request)
    except ProtocolError:
        return
    check_context(ctx)


def check_context(ctx: Context) -> None:
    """What a request says about its unit of work is well formed, however it was said."""
    require(ctx.id is None or is_context_id(ctx.id), "a context ID is well formed")
    require(ctx.parent is None or (is_context_id(ctx.parent) and ctx.parent != ctx.id), "so is its parent's")
    intent = ctx.intent
    require(intent is None or 0 < len(intent) <= INTENT_CHARACTERS, "an intent has some characters, not many")
    require(len(ctx.reply) <= INTENT_CHARACTERS, "so has a reply")
    require({ctx.grows, ctx.caches} <= {True, False}, "a client follows growth or not")
    require(ctx.log_level is None or ctx.log_level in LEVELS, "a level is one of the levels")
    require(
        ctx.id is None or ctx.id not in repr(ctx) or len(ctx.id) < 8, "what is logged does not tell the ID"
    )
    require(isinstance(ctx.meta, dict), "what it brings can be looked at")


def _resolver() -> ContextResolver:
    return servers()[b"/mcp"]._resolver


def check_batch(data: bytes) -> None:
    """A batch is answered as a list of replies, or refused as a whole."""
    dispatcher = servers()[b"/mcp"].dispatcher
    running = run_batch(
        data, dispatcher, identify=lambda _: MARCH_2025, ingress=Ingress(), answered=lambda _: None
    )
    try:
        replies = awaited(running)
    except (ParseError, InvalidRequestError) as error:
        check_failure(UNSET, error, data)
        return
    if replies is None:
        return
    read = msgspec.json.decode(replies)
    sent = msgspec.json.decode(data, type=list[msgspec.Raw])
    require(0 < len(read) <= len(sent), "there is at most one reply to each message")
    for reply in read:
        require(("result" in reply) != ("error" in reply), "a reply is a result or an error")
        require(reply.get("error", {}).get("code") != -32603, "nothing fails inside")


TARGETS: Final = (
    Target("message", check_message, MESSAGES, WORDS),
    Target(
        "params",
        check_params,
        tuple(
            b"%b\n%b\n%b" % (name.encode(), revision.encode(), msgspec.json.encode(params | {"_meta": one}))
            for (name, params), revision, one in zip(
                [*PARAMS.items(), *(("tools/call", call) for call in CALLS), *([("tools/list", {})] * 40)],
                [*REVISIONS] * 20,
                [*METAS] * 20,
                strict=False,
            )
        ),
        (*WORDS, TOKEN.encode()),
    ),
    Target(
        "batch",
        check_batch,
        tuple(b"[%b]" % b",".join(MESSAGES[start : start + 3]) for start in range(0, len(MESSAGES), 3)),
        WORDS,
    ),
)
