"""Targets: what clients hand back or make up to name a place: cursors, seals, events, sessions, URIs."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from scopedtools.catalog.templates import UriTemplate
from scopedtools.exceptions import DefinitionError, InvalidParamsError
from scopedtools.protocol.cursor import decode_cursor, encode_cursor
from scopedtools.protocol.seal import Sealer
from scopedtools.transports.sessions import HttpSession, Sessions
from scopedtools.transports.sse import Stream, event_id
from scopedtools.types import ANONYMOUS, Principal
from tests.fuzz.target import Target, awaited, pieces, require

_REVISION: Final = "ab12"
_SEALER: Final = Sealer(b"f" * 32, ttl_s=10**10)
_PURPOSE: Final = b"alice\0tools/call\0order"
_VALUES: Final[tuple[Any, ...]] = ({}, {"elicitation-1": {"action": "accept"}}, [1, "two"])
_SHORT: Final = 80
"""Characters up to which a regular expression says the same as a template, and soon."""


_GENUINE: Final = (
    "gAAAAABrA-tCmOdMq9NTj-2qk5U1OlU8WVNE6HEOwskfCh56IXJPjgnfBmZIyr-OvigscVfc6-QZEudr69uEHlLzCgfOS3O3jR-XMW3x"
    "pPDXDyVkvg_aYZg=",
    "gAAAAABrA-tCiPb81AcFfDxOTY0dai1fmE_guD2Aul-qfUfaxFzmLMwe1JTaIZIET6iyfaWOlcicFUThMU_ZSEizezD7BYTRWVdop3dL"
    "Zer9A1iqJcp6C3CIeMvpKhrIcviiKMrE5iW2H91Md4wLWQRB8rFBylkH3w==",
    "gAAAAABrA-tCHPRiHJCFQJJuiIgA6SiR4BPjDqMk4GfaK2JMiayZuoXOTPtrvb39FvQpDcxvCYzyqh51N3F0Wzi7tjDImD1d8vtisAWT"
    "vJ30vykJ2SbITF4=",
)
"""What the sealer made of the values; written down, since it draws something new each time."""


def check_cursor(data: bytes) -> None:
    """A cursor leads to an offset of the list that it was made for, or is refused without much ado."""
    try:
        offset = decode_cursor(data.decode("latin-1"), _REVISION)
    except InvalidParamsError as error:
        require(len(error.message) < 500, "a cursor is not repeated at length")
    else:
        require(0 <= offset < 10**12, "an offset is in a list")
        require(decode_cursor(encode_cursor(_REVISION, offset), _REVISION) == offset, "it can be made again")


def check_seal(data: bytes) -> None:
    """Only what was sealed here is opened, and only where it belongs."""
    sealed = data.decode("latin-1")
    for purpose in (_PURPOSE, b"mallory\0tools/call\0order"):
        try:
            value = _SEALER.open(sealed, purpose=purpose)
        except InvalidParamsError as error:
            require(len(error.message) < 500, "what was sent is not repeated")
        else:
            require(sealed in _GENUINE and purpose == _PURPOSE, "only what was sealed here is opened")
            require(value in _VALUES, "and is what it was")


@cache
def _session() -> HttpSession:
    session = HttpSession("s" * 32, ANONYMOUS)
    for text in (b"a", b"b", b"c"):
        awaited(session.push.put(text))
    return session


def check_event(data: bytes) -> None:
    """An event ID leads to a place in a stream that is there, or nowhere."""
    place = _session().resume(data.decode("latin-1"))
    if place is not None:
        stream, start = place
        require(stream.key == "push" and 0 <= start <= stream.count, "a place is in its stream")


@cache
def _sessions() -> Sessions:
    sessions = Sessions()
    for name in ("anonymous", "alice"):
        sessions.keep(HttpSession(f"session-of-{name}", Principal(name)))
    return sessions


def check_session(data: bytes) -> None:
    """A session is found by its own ID, and by its own principal alone."""
    named = data.decode("latin-1")
    for name in ("anonymous", "alice", "bob"):
        session = _sessions().get(named, Principal(name))
        require(session is None or named == f"session-of-{name}", "nobody finds the session of another")


def check_template(data: bytes) -> None:
    """A template matches what a regular expression would, where one can be asked; never for long."""
    template_text, uri_text = (piece.decode(errors="replace") for piece in pieces(data, 2))
    try:
        template = UriTemplate(template_text)
    except DefinitionError:
        return
    found = template.match(uri_text)
    if found is not None:
        require(tuple(found) == template.names, "a match has a value for each variable")
    if len(uri_text) <= _SHORT and len(template.names) <= 3:
        require(found == _by_expression(template_text, uri_text), "it is what the template says")


def _by_expression(template: str, uri: str) -> dict[str, str] | None:
    from urllib.parse import unquote

    parts = re.split(r"\{(\+?)([A-Za-z_][A-Za-z0-9_]*)\}", template)
    pattern = re.escape(parts[0])
    for reserved, literal in zip(parts[1::3], parts[3::3], strict=True):
        pattern += ("(.+)" if reserved else "([^/]+)") + re.escape(literal)
    match = re.fullmatch(pattern, uri, re.DOTALL)
    if match is None:
        return None
    return dict(zip(parts[2::3], map(unquote, match.groups()), strict=True))


def _encoded(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)


_EVENT_IDS: Final = tuple(event_id(Stream("push"), index).decode() for index in (-1, 0, 2, 99))

TARGETS: Final = (
    Target(
        "cursor",
        check_cursor,
        (encode_cursor(_REVISION, 100).encode(), encode_cursor("ff", 1).encode(), b"YWIxMjotMQ=="),
        (b"YWIxMjo", b"==", b"-", b"_"),
    ),
    Target("seal", check_seal, _encoded(_GENUINE), (b"gAAAAA", b"=", b"-", b"_")),
    Target("event", check_event, _encoded(_EVENT_IDS), (b"push.", b"-1", b"999999999999999")),
    Target("session", check_session, (b"session-of-alice", b"session-of-anonymous"), (b"session-of-bob",)),
    Target(
        "template",
        check_template,
        (
            b"shelf://{room}/{+path}\nshelf://hall/a/b%20c",
            b"a:{x}b{y}b{z}\na:bbbbbb",
            b"file:///{+path}.txt\nfile:///../../etc/passwd.txt",
            b"a:{x}\na:%ff%2f%",
            b"a:b\na:b",
            b"a:{+x}/{+y}/{+z}\na:////////",
        ),
        (b"{+", b"{x}", b"}", b"%2F", b"../", b"://", b"a:"),
    ),
)
