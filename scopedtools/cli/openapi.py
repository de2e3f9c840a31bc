"""Which API ``scopedtools serve --openapi`` serves, and with what credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scopedtools.cli.target import TargetError

if TYPE_CHECKING:
    from scopedtools.openapi import OpenApi, Pair


class ApiOptions(NamedTuple):
    """An API, as the command line names it.

    Attributes:
        source: File or URL of the description.
        base_url: Where the API is.
        auth: ``SCHEME=VARIABLE`` or ``SCHEME=VARIABLE:VARIABLE``, each variable of the environment.
        token_url: ``SCHEME=URL``, where OAuth 2 tokens are fetched.
        header: ``NAME=VARIABLE``, sent with every request.
        forward_context: Tell the API which unit of work calls.
    """

    source: str
    base_url: str
    auth: tuple[str, ...] = ()
    token_url: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    forward_context: bool = False

    def load(self) -> OpenApi:
        """Read the description.

        Raises:
            TargetError: There is no ``base_url``, or a setting names no variable of the environment.
            CatalogError: The description cannot be read.
            DefinitionError: A setting does not go with the description.
        """
        if not self.base_url:
            raise TargetError(
                "--openapi needs --base-url, where the API is; the description does not decide that"
            )
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
        return api


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
