"""An authorization server: keys, the set that it publishes, and the tokens that it signs."""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

RESOURCE: Final = "https://mcp.example.com/mcp"

CURVES: Final[dict[str, Callable[[], ec.EllipticCurve]]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


def private_key(algorithm: str, number: int = 0, bits: int = 2048) -> Any:
    """Return the private key of an algorithm and number, the same each time."""
    return _generated(algorithm, number, bits)


@functools.cache  # an RSA key takes a tenth of a second to find
def _generated(algorithm: str, number: int, bits: int) -> Any:
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: Any, **members: Any) -> dict[str, Any]:
    writers: dict[type, Any] = {
        rsa.RSAPrivateKey: RSAAlgorithm.to_jwk,
        ec.EllipticCurvePrivateKey: ECAlgorithm.to_jwk,
        ed25519.Ed25519PrivateKey: OKPAlgorithm.to_jwk,
    }
    write = next(writer for kind, writer in writers.items() if isinstance(key, kind))
    written: dict[str, Any] = write(key.public_key(), as_dict=True)
    return {name: value for name, value in written.items() if name != "key_ops"} | members


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Issuer:
    """Signs tokens and answers requests for its keys.

    Attributes:
        url: The issuer's name.
        jwks: What it publishes.
        fetches: How often that was asked for.
        gate: Answers wait until it is set.
        arrived: Set when they are asked for.
        respond: Makes an answer.
    """

    def __init__(self, url: str = "https://auth.example.com") -> None:
        self.url = url
        self.jwks_url = f"{url}/jwks"
        self.jwks: dict[str, Any] = {"keys": []}
        self.fetches = 0
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.respond: Callable[[], Response] = lambda: JSONResponse(self.jwks)

    async def asked(self) -> None:
        """Wait until somebody has asked for the keys, since `arrived` was cleared."""
        assert await anyio.to_thread.run_sync(self.arrived.wait, 10)

    def publish(self, kid: str | None, algorithm: str = "ES256", number: int = 0, **members: Any) -> Any:
        """Publish a key, beside those there are, and return the private one."""
        key = private_key(algorithm, number)
        named = {"kid": kid} if kid is not None else {}
        self.jwks["keys"].append(public_jwk(key, **named, **members))
        return key

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token with some changed, or left out where ``None``."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": RESOURCE, "sub": "alice", "iat": now, "exp": now + 300} | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        kid: str | None = "one",
        algorithm: str = "ES256",
        *,
        key: Any = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Sign a token, by hand, so that it may be as wrong as a test needs."""
        own = {"typ": "at+jwt", "alg": algorithm} | ({"kid": kid} if kid is not None else {})
        words = {name: value for name, value in (own | (header or {})).items() if value is not None}
        signed = f"{encoded(words)}.{encoded(self.claims(**claims))}"
        signer = jwt.get_algorithm_by_name(algorithm)
        signature = signer.sign(signed.encode(), key if key is not None else private_key(algorithm))
        return f"{signed}.{encoded(signature)}"


class KeyServer:
    """Answers for any number of issuers, each under a path of its own."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.issuers: dict[str, Issuer] = {}
        self.app = Router([Route("/{name}/jwks", self.answer)])

    def issuer(self) -> Issuer:
        name = f"issuer{len(self.issuers)}"
        self.issuers[name] = Issuer(f"{self.origin}/{name}")
        return self.issuers[name]

    def answer(self, request: Request) -> Response:  # not a coroutine, so that it may wait for the gate
        issuer = self.issuers[request.path_params["name"]]
        issuer.fetches += 1
        issuer.arrived.set()
        assert issuer.gate.wait(10)
        return issuer.respond()
