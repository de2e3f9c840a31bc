"""Small values that tools keep for a unit of work."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, Final, TypeVar, overload

import msgspec

from scopedtools.exceptions import StoreUnavailableError, ToolError
from scopedtools.protocol.meta import ID_HEADER
from scopedtools.storage import ContextStore
from scopedtools.types import JSON

MAX_VALUE_BYTES: Final = 64 * 2**10
"""Largest value, as JSON. What is larger belongs into a database, and its key into the state."""

MAX_NAME_CHARACTERS: Final = 256

_LONGEST_S: Final = 100 * 365 * 86_400.0
"""What is to live longer lives so long; no engine can reckon with all numbers that there are."""

NEEDS_CONTEXT: Final = f"this needs a context: send an ID with each request, such as the header {ID_HEADER}"

_UNREACHED: Final = "the state of this context cannot be reached now; try again later"

_SUFFIX: Final = b"state"
"""Keeps values apart from records, which lie under longer keys."""

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")


class State:
    """Named values of one context: what JSON can hold, and what msgspec makes of dataclasses and the like.

    The same ID of another principal has another state, and so has a context that was forked from this one.
    Values go with the context: after the time to live of the store, or one of their own.

    Every method raises `ToolError` where the request names no context, and where the store fails: what a
    tool keeps must not be lost silently.

    Args:
        store: Where values are kept.
        key: Of the context, or ``None`` where the request names none.
    """

    __slots__ = ("_key", "_store")

    def __init__(self, store: ContextStore, key: bytes | None) -> None:
        self._store = store
        self._key = key

    @overload
    async def get(self, name: str, default: Any = None) -> Any: ...
    @overload
    async def get(self, name: str, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, name: str, default: T, *, type: type[T]) -> T: ...

    async def get(self, name: str, default: Any = None, *, type: Any = Any) -> Any:  # noqa: A002 - as msgspec
        """Return a value, or ``default`` where there is none.

        Args:
            name: Of the value.
            default: What to return where there is none.
            type: What to make of the JSON, such as a dataclass; by default lists, dicts, text and numbers.

        Raises:
            ToolError: What is kept is not of that type.
        """
        kept = await self._reached(self._store.get_value(self._of(name), name))
        return default if kept is None else _decoded(name, kept, type)

    async def set(self, name: str, value: Any, *, ttl_s: float | None = None) -> None:
        """Keep a value in place of the one that there is. Of two at the same time, the later one stays.

        Args:
            name: Of the value, 1 to 256 characters.
            value: What JSON can hold, at most 64 KiB.
            ttl_s: Seconds after which it goes; by default it lives as long as the context.

        Raises:
            ToolError: It is too large, or there is no room for another.
        """
        encoded, ttl_s = _encoded(name, value), _bounded(ttl_s)
        if not await self._reached(self._store.put_value(self._of(name), name, encoded, ttl_s=ttl_s)):
            raise _full(name)

    async def setdefault(self, name: str, value: Any, *, ttl_s: float | None = None) -> JSON:
        """Keep a value unless there is one, and return the one that is kept.

        One step: of calls at the same time, all get the value of the first.

        Raises:
            ToolError: As of `set`.
        """
        encoded, ttl_s = _encoded(name, value), _bounded(ttl_s)
        kept = await self._reached(self._store.add_value(self._of(name), name, encoded, ttl_s=ttl_s))
        if kept is None:
            raise _full(name)
        return _decoded(name, kept, Any)

    async def delete(self, name: str) -> None:
        """Forget a value, if it is there."""
        await self._reached(self._store.delete_value(self._of(name), name))

    async def names(self) -> list[str]:
        """Return the names of all values, sorted."""
        return await self._reached(self._store.value_names(self._of()))

    def _of(self, name: str = "-") -> bytes:
        if self._key is None:
            raise ToolError(NEEDS_CONTEXT)
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise ToolError(
                f"the name of a value must have 1 to {MAX_NAME_CHARACTERS} characters, got {len(name)}"
            )
        return self._key + _SUFFIX

    @staticmethod
    async def _reached(answer: Awaitable[T]) -> T:
        try:
            return await answer
        except StoreUnavailableError as error:  # the store has said so, once for all requests
            raise ToolError(_UNREACHED) from error
        except Exception as error:
            _log.exception("the context store failed, a tool cannot reach its state")
            raise ToolError(_UNREACHED) from error


def _bounded(ttl_s: float | None) -> float | None:
    if ttl_s is None:
        return None
    if not ttl_s > 0:
        raise ValueError(f"ttl_s must be > 0, got {ttl_s}")
    return min(ttl_s, _LONGEST_S)


def _encoded(name: str, value: Any) -> bytes:
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_VALUE_BYTES:
        raise ToolError(
            f"the value {name!r} must take at most {MAX_VALUE_BYTES} bytes as JSON, got {len(encoded)}:"
            " keep less"
        )
    return encoded


def _decoded(name: str, kept: bytes, wanted: Any) -> Any:
    try:
        return msgspec.json.decode(kept, type=wanted)
    except msgspec.ValidationError as error:
        raise ToolError(f"the value {name!r} is not what is asked for: {error}; set it anew") from error


def _full(name: str) -> ToolError:
    return ToolError(f"the state of this context has no room for {name!r}: delete a value first")
