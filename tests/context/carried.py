"""Requests that carry context IDs, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Raw

from scopedtools.context.carriers import Carrier, CarrierTable
from scopedtools.protocol import meta
from scopedtools.protocol.methods import METHODS, CallParams, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST, NOVEMBER_2025, Revision


def request(
    request_meta: Mapping[str, Any] | None = None,
    *,
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    settings: Mapping[str, Any] | None = None,
    revision: Revision = LATEST,
) -> Request:
    own = dict(request_meta or {})
    if settings is not None:
        own[meta.CLIENT_CAPABILITIES] = {"extensions": {meta.EXTENSION: settings}}
    lines = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)
    ingress = Ingress(headers=lines, query=query.encode())
    return Request(METHODS["tools/list"], ListParams(meta=own), revision, ingress, 1)


def call(arguments: bytes | None, revision: Revision = LATEST) -> Request:
    params = CallParams(name="any", arguments=UNSET if arguments is None else Raw(arguments))
    return Request(METHODS["tools/call"], params, revision, Ingress(), 1)


def on_stdio(own: Mapping[str, Any] | None = None) -> Request:
    return Request(METHODS["tools/list"], ListParams(meta=dict(own or {})), LATEST, Ingress(unscoped=True), 1)


def on(carrier: Carrier, value: Any) -> Request:
    """Put an ID where a carrier looks for it."""
    held: Any = value if carrier.field is None else {carrier.field: value, "other": 1}
    revision = NOVEMBER_2025 if carrier.legacy else LATEST
    match carrier.place:
        case "extension":
            return request(settings={carrier.key: held}, revision=revision)
        case "header":
            return request(headers=[(carrier.key, held)], revision=revision)
        case "meta":
            return request({carrier.key: held}, revision=revision)
        case "baggage":
            return request({"baggage": f"a=1,{carrier.key}={quote(held)};p=1"}, revision=revision)
        case "query":
            return request(query=f"a=1&{carrier.key}={quote(held)}", revision=revision)
        case "argument" | "environment":
            arguments = msgspec.json.encode({"other": 1, carrier.key: held})
            return call(arguments) if carrier.place == "argument" else on_stdio()


def found(asked: Request, *, strict: bool = False) -> str | None:
    result = CarrierTable(strict=strict).find(asked)
    return None if result is None else result.id


def joined(requests: Iterable[Request]) -> Request:
    """Put what several requests carry on one."""
    parts = list(requests)
    baggage = [part.meta["baggage"] for part in parts if "baggage" in part.meta]
    own: dict[str, Any] = {}
    for part in parts:
        for key, value in part.meta.items():
            both = isinstance(value, dict) and isinstance(own.get(key), dict)
            own[key] = own[key] | value if both else value
    if baggage:
        own["baggage"] = ",".join(baggage)
    headers = tuple(line for part in parts for line in part.ingress.headers)
    query = b"&".join(part.ingress.query for part in parts if part.ingress.query)
    return Request(
        METHODS["tools/list"],
        ListParams(meta=own),
        NOVEMBER_2025,
        Ingress(headers=headers, query=query),
        1,
    )


ARGUMENTS = (Carrier("argument", "conversation_id"), Carrier("argument", "arguments", "conversation_id"))

MALFORMED = ("", " ", "a b", "a" * 257, "a\x00b", "a\nb", "a\tb", "\x7f", "é", "中", "a\u200b", "a\r\nb: c")
