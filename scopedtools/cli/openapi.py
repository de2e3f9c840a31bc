"""A server of an OpenAPI description, for ``scopedtools serve --openapi``."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from scopedtools.cli.target import TargetError
from scopedtools.server import ScopedServer

if TYPE_CHECKING:
    from scopedtools.openapi import OpenApi, Pair


class OpenApiTarget(NamedTuple):
    """What an API is hosted from.

    Attributes:
        source: File or URL of the description.
        base_url: Where the API is.
        auth: ``SCHEME=VARIABLE`` or ``SCHEME=VARIABLE:VARIABLE``, each variable of the environment.
        token_url: ``SCHEME=URL``, where OAuth 2 tokens are fetched.
        header: ``NAME=VARIABLE``, sent with every request.
        forward_context: Tell the API which unit of work calls.
        index_dir: Where the index of its operations is kept between starts, or ``None`` for nowhere.
    """

    source: str
    base_url: str
    auth: tuple[str, ...] = ()
    token_url: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    forward_context: bool = False
    index_dir: str | None = None

    def load(self) -> ScopedServer:
        """Make the server.

        Raises:
            TargetError: A setting names no variable of the environment.
            CatalogError: The description cannot be read.
            DefinitionError: A setting does not go with the description.
        """
        from scopedtools.openapi import OpenApi  # noqa: PLC0415 - needs an extra

        api = OpenApi.load(
            self.source,
            base_url=self.base_url,
            credentials={name: _credential(value) for name, value in _pairs("--auth", self.auth).items()},
            token_urls=_pairs("--token-url", self.token_url),
            headers={name: _variable(value) for name, value in _pairs("--header", self.header).items()},
            forward_context=self.forward_context,
        )
        if not len(api.catalog):
            raise TargetError(f"{self.source} has no operations that can be tools")
        # What the API says of itself is what clients are told about the server.
        told = {"__doc__": api.description} if api.description else {}
        kind: type[_ApiServer] = type("ApiServer", (_ApiServer,), told)
        return kind(api, self.index_dir)


class _ApiServer(ScopedServer):
    __doc__ = None

    def __init__(self, api: OpenApi, index_dir: str | None) -> None:
        super().__init__(name=api.title, catalog=api.catalog, index_dir=index_dir)
        self._api = api

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self._api:
            yield


def _pairs(option: str, given: Sequence[str]) -> Mapping[str, str]:
    split = [one.partition("=") for one in given]
    for name, _, value in split:
        if not name or not value:
            raise TargetError(f"{option} must be NAME=VALUE, got {name!r} alone")
    return {name: value for name, _, value in split}


def _credential(variables: str) -> str | Pair:
    from scopedtools.openapi import Pair  # noqa: PLC0415 - needs an extra

    first, colon, second = variables.partition(":")
    return Pair(_variable(first), _variable(second)) if colon else _variable(first)


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"the environment has no variable {name!r}; secrets are read from there")
    return value
