"""What a message asks for, whoever answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from msgspec import UNSET, Raw, UnsetType

from scopedtools.exceptions import InvalidParamsError
from scopedtools.protocol.methods import METHODS, Method, Params, decode_params
from scopedtools.protocol.revisions import Revision

Identify: TypeAlias = Callable[[Mapping[str, Any]], Revision]
"""How a transport tells which revision a request speaks: takes ``_meta``, returns it or raises a
`ProtocolError` where it is not served or two places disagree about it."""


class Again:
    """Belongs to a request that comes again and again, and keeps what follows from its words and lines alone.

    Attributes:
        found: Which context it names, or ``UNSET`` before that was looked for.
    """

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: Any = UNSET


class Understood(NamedTuple):
    """What a message asks for.

    Attributes:
        name: Of its method.
        method: The method, or ``None`` where there is none of that name.
        params: Its parameters.
        revision: The revision that it speaks.
        problem: What is wrong with its parameters, or ``None``.
        again: What is known of all requests that say just this, where that is remembered.
    """

    name: str
    method: Method | None
    params: Params
    revision: Revision
    problem: str | None
    again: Again | None = None


def understand(name: str, raw: Raw | bytes | UnsetType, identify: Identify) -> Understood:
    """Read the parameters of a request or a notification.

    Args:
        name: Of its method.
        raw: The parameters as JSON.
        identify: Tells its revision.

    Raises:
        ProtocolError: The revision is not served or is not clear, or the parameters cannot be read at all.
    """
    method = METHODS.get(name)
    params, problem = _read(method, raw)
    return Understood(name, method, params, identify(params.meta), problem)


def _read(method: Method | None, raw: Raw | bytes | UnsetType) -> tuple[Params, str | None]:
    # A request of a revision that is not served has parameters of its own: which revision it speaks
    # matters before what is wrong with them.
    if method is None:
        return decode_params(raw, Params), None
    try:
        return decode_params(raw, method.params), None
    except InvalidParamsError as error:
        return decode_params(raw, Params), error.message
