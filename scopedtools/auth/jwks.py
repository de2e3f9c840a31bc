"""Keys that tokens are signed with: a JWK set, given or fetched.

Source: RFC 7517.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, Final, NamedTuple, Protocol

import httpx2
from cryptography.exceptions import UnsupportedAlgorithm

from scopedtools.auth.errors import Unavailable
from scopedtools.auth.urls import checked
from scopedtools.exceptions import DefinitionError, MissingDependencyError

try:
    import jwt
except ImportError as error:
    raise MissingDependencyError('PyJWT is not installed; run pip install "scopedtools[auth]"') from error

_log: Final = logging.getLogger(__name__)

_FITTING: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What a key of each type and curve may verify. Nothing symmetric is here, nor ``none``."""

ALGORITHMS: Final = tuple(algorithm for fitting in _FITTING.values() for algorithm in fitting)

_MAX_SET_BYTES: Final = 256 * 1024
_MAX_SET_KEYS: Final = 64
_MAX_UNNAMED: Final = 4


class Key(NamedTuple):
    """A public key.

    Attributes:
        kid: Its name in the set, if it has one.
        algorithms: What it may verify.
        material: The key as PyJWT takes it.
    """

    kid: str | None
    algorithms: frozenset[str]
    material: Any


class KeySource(Protocol):
    """Where a verifier finds keys."""

    async def find(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys that may have signed a token, a handful at most.

        Args:
            algorithm: That its header names.
            kid: The key that its header names, or ``None``.

        Raises:
            Unavailable: There are no keys to look among.
        """
        ...


class FixedKeys:
    """Keys of a JWK set that is given once.

    Args:
        jwks: A JWK set, ``{"keys": [...]}``.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        try:
            self._keys = read_keys(jwks)
        except ValueError as error:
            raise DefinitionError(f"jwks must be a JWK set: {error}") from error
        if not self._keys:
            raise DefinitionError("jwks must hold a public key that can verify signatures, got none")

    async def find(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys that may have signed a token."""
        return _choose(self._keys, algorithm, kid)


class RemoteKeys:
    """Keys that an authorization server publishes.

    Fetched when first needed, and again when they are `ttl_s` old or when a token names a key that is not
    among them. At most one fetch runs at a time and one begins in `min_interval_s`, whatever tokens come
    in, so forged key names cost the authorization server nothing. Where a fetch fails, the keys there are
    go on serving until they are `stale_s` old. A request that is cancelled does not end the fetch that
    others wait for.

    Args:
        url: Of the JWK set.
        ttl_s: Age at which keys are fetched anew, beside the requests.
        stale_s: Age from which keys are no longer used. Tokens rarely live longer, and while keys cannot be
            fetched, one that was withdrawn goes on serving.
        min_interval_s: Least time between the beginnings of two fetches.
        timeout_s: Most time that a fetch may take, from connecting to the last byte.
        client: Fetches them, where proxies or certificates need settings; by default one for each fetch.
        allow_http: Let `url` be ``http`` on another machine. Whoever can change what comes back can then
            sign tokens.
        clock: Tells the time in seconds, from any beginning.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_s: float = 600,
        stale_s: float = 3_600,
        min_interval_s: float = 10,
        timeout_s: float = 5,
        client: httpx2.AsyncClient | None = None,
        allow_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checked("jwks_url", url, allow_http=allow_http)
        self.url = url
        self._ttl_s = ttl_s
        self._stale_s = stale_s
        self._min_interval_s = min_interval_s
        self._timeout_s = timeout_s
        self._client = client
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._fetched_at_s = -math.inf
        self._tried_at_s = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys that may have signed a token."""
        if self._age_s() >= self._ttl_s:
            self._refresh()
        found = self._fresh(algorithm, kid)
        if not found and (task := self._refresh()):
            await asyncio.shield(task)
            found = self._fresh(algorithm, kid)
        if self._age_s() >= self._stale_s:
            raise Unavailable(
                "Tokens cannot be checked now; try again later", retry_after_s=math.ceil(self._min_interval_s)
            )
        return found

    def _fresh(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        return _choose(self._keys, algorithm, kid) if self._age_s() < self._stale_s else ()

    def _age_s(self) -> float:
        return self._clock() - self._fetched_at_s

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the fetch that is under way, begun now if it may be."""
        if self._task is not None and not self._task.done():
            return self._task
        now_s = self._clock()
        if now_s - self._tried_at_s < self._min_interval_s:
            return None
        self._tried_at_s = now_s
        self._task = asyncio.create_task(self._fetch(), name="fetch keys")
        return self._task

    async def _fetch(self) -> None:
        try:
            keys = read_keys(json.loads(await self._download()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys there are go on serving
            _log.warning("Keys could not be fetched from %s: %r", self.url, error)
            return
        if not keys:
            _log.warning("%s holds no key that can verify signatures; all tokens are refused", self.url)
        self._keys = keys
        self._fetched_at_s = self._clock()

    async def _download(self) -> bytes:
        own = (
            httpx2.AsyncClient(timeout=self._timeout_s) if self._client is None else nullcontext(self._client)
        )
        # Compressed, a small answer could become a large one.
        headers = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}
        async with (
            asyncio.timeout(self._timeout_s),
            own as client,
            client.stream("GET", self.url, headers=headers, follow_redirects=False) as response,
        ):
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_SET_BYTES:
                    raise ValueError(f"the answer is larger than {_MAX_SET_BYTES} bytes")
        return bytes(body)


def read_keys(jwks: Any) -> tuple[Key, ...]:
    """Return the keys of a JWK set that can verify signatures; others are left out.

    Raises:
        ValueError: It is no JWK set.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list):
        raise ValueError('expected {"keys": [...]}')  # noqa: TRY004 - the value is JSON of the wrong form
    read = (_key(jwk) for jwk in keys[:_MAX_SET_KEYS])
    return tuple(key for key in read if key is not None)


def _key(jwk: Any) -> Key | None:
    algorithms = _algorithms(jwk) if isinstance(jwk, Mapping) else ()
    if not algorithms:
        return None
    try:
        material = jwt.PyJWK(dict(jwk), algorithms[0]).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, TypeError, ValueError) as error:
        _log.warning("A key is left out: %s", type(error).__name__)
        return None
    kid = jwk.get("kid")
    return Key(kid if isinstance(kid, str) else None, frozenset(algorithms), material)


def _algorithms(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a key may verify, nothing if it is not for that."""
    # A private key in the open is nobody's any more.
    if jwk.get("use", "sig") != "sig" or "verify" not in _listed(jwk.get("key_ops"), "verify") or "d" in jwk:
        return ()
    kind = (jwk.get("kty"), jwk.get("crv"))
    fitting = next((fits for of, fits in _FITTING.items() if of == kind), ())
    return tuple(algorithm for algorithm in fitting if jwk.get("alg", algorithm) == algorithm)


def _listed(value: Any, default: str) -> Iterable[Any]:
    return value if isinstance(value, list) else [default]


def _choose(keys: Iterable[Key], algorithm: str, kid: str | None) -> tuple[Key, ...]:
    fitting = (key for key in keys if algorithm in key.algorithms and (kid is None or key.kid == kid))
    # Each costs a verification, and a forger need not name one.
    return tuple(fitting)[:_MAX_UNNAMED]
