from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from scopedtools.auth import Unavailable
from scopedtools.auth.jwks import FixedKeys, KeySource, RemoteKeys, read_keys
from scopedtools.auth.jwt import JwtVerifier
from scopedtools.exceptions import DefinitionError
from tests.auth.issuer import RESOURCE, Clock, Issuer, KeyServer, private_key, public_jwk

pytestmark = pytest.mark.anyio

TTL_S, STALE_S, INTERVAL_S = 600, 3_600, 10


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> RemoteKeys:
    return RemoteKeys(issuer.jwks_url, clock=clock)


def verifier(issuer: Issuer, keys: KeySource) -> JwtVerifier:
    return JwtVerifier(issuer=issuer.url, audience=RESOURCE, jwks=keys)


async def under_way(keys: RemoteKeys) -> None:
    """Wait for the fetch that was begun beside a request."""
    assert keys._task is not None
    await keys._task


# Fetching


async def test_keys_are_fetched_when_first_needed_and_then_kept(issuer: Issuer, keys: RemoteKeys) -> None:
    issuer.publish("one")
    assert issuer.fetches == 0

    for _ in range(3):
        assert [key.kid for key in await keys.find("ES256", "one")] == ["one"]
    assert issuer.fetches == 1


async def test_parallel_first_requests_share_one_fetch(issuer: Issuer, keys: RemoteKeys) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    issuer.gate.clear()
    asked = [asyncio.create_task(of.verify(token)) for _ in range(50)]
    await issuer.asked()
    issuer.gate.set()

    assert all(await asyncio.gather(*asked))
    assert issuer.fetches == 1


async def test_old_keys_serve_while_they_are_fetched_anew(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    assert await of.verify(token)
    clock.now_s += TTL_S
    issuer.gate.clear()
    issuer.arrived.clear()

    assert await of.verify(token)  # the answer is not there yet
    assert await of.verify(token)
    await issuer.asked()
    issuer.gate.set()
    await under_way(keys)
    assert issuer.fetches == 2


async def test_a_withdrawn_key_is_refused_once_keys_were_fetched_anew(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    assert await of.verify(token)
    issuer.jwks["keys"].clear()
    clock.now_s += TTL_S
    await of.verify(token)
    await under_way(keys)

    assert await of.verify(token) is None


async def test_a_key_that_is_published_later_is_found_at_once(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of = verifier(issuer, keys)
    assert await of.verify(issuer.token())
    new = issuer.publish("two", number=2)
    clock.now_s += INTERVAL_S

    assert await of.verify(issuer.token("two", key=new))
    assert await of.verify(issuer.token())
    assert issuer.fetches == 2


async def test_rotation_is_noticed_however_often_it_happens(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    of = verifier(issuer, keys)
    for number in range(5):
        issuer.jwks["keys"].clear()
        key = issuer.publish(f"key {number}", number=number)
        assert await of.verify(issuer.token(f"key {number}", key=key))
        clock.now_s += INTERVAL_S
    assert issuer.fetches == 5


# Forged names


async def test_a_flood_of_forged_key_names_costs_the_issuer_one_fetch_in_an_interval(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of = verifier(issuer, keys)
    assert await of.verify(issuer.token())
    stranger = private_key("ES256", 7)
    for number in range(300):
        assert await of.verify(issuer.token(f"forged {number}", key=stranger)) is None
    assert issuer.fetches == 1

    for number in range(300):
        clock.now_s += 0.125  # more than thirty seconds in all
        assert await of.verify(issuer.token(f"forged {number}", key=stranger)) is None
    assert issuer.fetches == 4
    assert await of.verify(issuer.token())


async def test_a_parallel_flood_of_forged_key_names_shares_one_fetch(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of = verifier(issuer, keys)
    assert await of.verify(issuer.token())
    clock.now_s += INTERVAL_S
    issuer.gate.clear()
    issuer.arrived.clear()
    forged = [asyncio.create_task(of.verify(issuer.token(f"forged {number}"))) for number in range(100)]
    await issuer.asked()

    assert await of.verify(issuer.token())  # a good token does not wait for the forged ones
    issuer.gate.set()
    assert not any(await asyncio.gather(*forged))
    assert issuer.fetches == 2


async def test_a_flood_is_not_remembered(issuer: Issuer, keys: RemoteKeys) -> None:
    issuer.publish("one")
    before = [len(await keys.find("ES256", "one")), len(vars(keys))]
    for number in range(1_000):
        assert await keys.find("ES256", f"forged {number}") == ()

    assert [len(keys._keys), len(vars(keys))] == before


async def test_a_known_key_does_not_make_a_bad_signature_worth_a_fetch(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of = verifier(issuer, keys)
    for _ in range(5):
        clock.now_s += INTERVAL_S
        assert await of.verify(issuer.token(key=private_key("ES256", 7))) is None

    assert issuer.fetches == 1


async def test_what_is_no_token_is_not_worth_a_fetch(issuer: Issuer, keys: RemoteKeys) -> None:
    of = verifier(issuer, keys)
    headers: list[dict[str, Any]] = [{"alg": "none"}, {"alg": "HS256"}, {"alg": 7}, {"typ": "x"}, {"kid": 7}]
    for token in ("", "x", "x.y.z", *(issuer.token(header=header) for header in headers)):
        assert await of.verify(token) is None

    assert issuer.fetches == 0


# Failures


BROKEN = [
    pytest.param(lambda: JSONResponse({"keys": []}, 500), id="an error"),
    pytest.param(lambda: Response(status_code=204), id="nothing"),
    pytest.param(lambda: PlainTextResponse("<html>"), id="a page"),
    pytest.param(lambda: JSONResponse([]), id="no object"),
    pytest.param(lambda: JSONResponse({"keys": {}}), id="no list"),
    pytest.param(lambda: PlainTextResponse("[" * 100_000), id="deep JSON"),
    pytest.param(lambda: JSONResponse({"keys": [], "filler": "x" * 300_000}), id="too much"),
    pytest.param(lambda: RedirectResponse("/elsewhere"), id="a redirect"),
]


@pytest.mark.parametrize("respond", BROKEN)
async def test_the_keys_there_are_go_on_serving_where_a_fetch_fails(
    issuer: Issuer, keys: RemoteKeys, clock: Clock, respond: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    assert await of.verify(token)
    good, issuer.respond = issuer.respond, respond
    clock.now_s += TTL_S

    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert await of.verify(token)
            await under_way(keys)
    assert issuer.fetches == 2  # a failure is not tried again before the interval is over
    assert f"Keys could not be fetched from {issuer.jwks_url}" in caplog.text

    issuer.respond = good
    clock.now_s += INTERVAL_S
    assert await of.verify(token)
    await under_way(keys)
    assert issuer.fetches == 3


async def test_keys_that_could_not_be_fetched_for_long_are_no_longer_used(
    issuer: Issuer, keys: RemoteKeys, clock: Clock
) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    assert await of.verify(token)
    good, issuer.respond = issuer.respond, lambda: Response(status_code=503)
    clock.now_s += STALE_S

    with pytest.raises(Unavailable):
        await of.verify(token)
    issuer.respond = good
    clock.now_s += INTERVAL_S
    assert await of.verify(token)


async def test_without_keys_no_token_is_judged(issuer: Issuer, keys: RemoteKeys, clock: Clock) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    good, issuer.respond = issuer.respond, lambda: Response(status_code=503)
    for _ in range(5):
        with pytest.raises(Unavailable) as refusal:
            await of.verify(token)
    assert issuer.fetches == 1
    assert (refusal.value.status, refusal.value.headers) == (503, ((b"retry-after", b"10"),))

    issuer.respond = good
    clock.now_s += INTERVAL_S
    assert await of.verify(token)


async def test_nobody_there_means_that_tokens_cannot_be_judged(unused_port: int) -> None:
    keys = RemoteKeys(f"http://127.0.0.1:{unused_port}/jwks")

    with pytest.raises(Unavailable):
        await keys.find("ES256", "one")


@pytest.fixture
def unused_port() -> Iterator[int]:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        yield bound.getsockname()[1]


async def test_an_issuer_that_publishes_no_key_lets_nobody_in(
    issuer: Issuer, keys: RemoteKeys, caplog: pytest.LogCaptureFixture
) -> None:
    assert await verifier(issuer, keys).verify(issuer.token()) is None
    assert "holds no key that can verify signatures" in caplog.text


async def test_an_answer_that_does_not_come_is_given_up(issuer: Issuer) -> None:
    issuer.gate.clear()

    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await RemoteKeys(issuer.jwks_url, timeout_s=0.05).find("ES256", "one")


async def test_keys_from_where_an_answer_points_to_are_not_trusted(
    key_server: KeyServer, issuer: Issuer, keys: RemoteKeys
) -> None:
    elsewhere = key_server.issuer()
    elsewhere.publish("one")
    issuer.respond = lambda: RedirectResponse(elsewhere.jwks_url)

    with pytest.raises(Unavailable):
        await verifier(issuer, keys).verify(issuer.token())
    assert elsewhere.fetches == 0


async def test_an_answer_that_never_ends_is_given_up(issuer: Issuer) -> None:
    done = asyncio.Event()

    async def drip() -> Any:
        for _ in itertools.count():
            if done.is_set():
                return
            yield b" "
            await asyncio.sleep(0.005)  # the server's, so that no byte is late

    issuer.respond = lambda: StreamingResponse(drip())
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await RemoteKeys(issuer.jwks_url, timeout_s=0.1).find("ES256", "one")
    done.set()


async def test_who_goes_away_does_not_end_the_fetch_that_others_wait_for(
    issuer: Issuer, keys: RemoteKeys
) -> None:
    issuer.publish("one")
    of, token = verifier(issuer, keys), issuer.token()
    issuer.gate.clear()
    first = asyncio.create_task(of.verify(token))
    await issuer.asked()
    second = asyncio.create_task(of.verify(token))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.gate.set()

    assert await second
    assert issuer.fetches == 1


async def test_a_client_with_settings_of_its_own_may_fetch(issuer: Issuer) -> None:
    issuer.publish("one")
    seen: list[httpx2.Request] = []

    async def note(request: httpx2.Request) -> None:
        seen.append(request)

    async with httpx2.AsyncClient(event_hooks={"request": [note]}) as client:
        keys = RemoteKeys(issuer.jwks_url, client=client)
        assert await verifier(issuer, keys).verify(issuer.token())
        assert not client.is_closed
    assert [str(request.url) for request in seen] == [issuer.jwks_url]
    assert seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("url", ["http://auth.example.com/jwks", "http://10.0.0.7/jwks"])
def test_keys_come_over_plain_http_only_where_that_is_said(url: str) -> None:
    with pytest.raises(DefinitionError, match="jwks_url must begin with https://"):
        RemoteKeys(url)
    assert RemoteKeys(url, allow_http=True).url == url


# What a set may hold

EC = public_jwk(private_key("ES256"))


@pytest.mark.parametrize(
    "jwk",
    [
        EC | {"use": "enc"},
        EC | {"key_ops": ["sign"]},
        EC | {"key_ops": []},
        EC | {"alg": "ES384"},
        EC | {"alg": "HS256"},
        EC | {"alg": "none"},
        EC | {"alg": None},
        EC | {"crv": "P-384"},
        EC | {"crv": "secp256k1"},
        EC | {"crv": ["P-256"]},
        EC | {"kty": "RSA"},
        EC | {"kty": {"EC": 1}},
        EC | {"d": "AAAA"},
        EC | {"x": "AAAA"},
        EC | {"x": 7},
        EC | {"x": "*"},
        EC | {"y": EC["x"]},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
        {"kty": "oct", "k": "c2VjcmV0", "crv": "P-256"},
        {},
        [],
        None,
        "key",
    ],
    ids=str,
)
def test_a_key_that_is_not_for_verifying_is_left_out(jwk: Any) -> None:
    assert [key.kid for key in read_keys({"keys": [jwk, EC | {"kid": "good"}, jwk]})] == ["good"]


@pytest.mark.parametrize("members", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "ES256"}, {"x5c": []}])
def test_a_key_may_say_what_it_is_for(members: dict[str, Any]) -> None:
    assert [key.algorithms for key in read_keys({"keys": [EC | members]})] == [{"ES256"}]


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("ES256", ECAlgorithm), ("RS256", RSAAlgorithm), ("EdDSA", OKPAlgorithm)]
)
def test_a_private_key_in_the_open_is_left_out(algorithm: str, kind: Any) -> None:
    private = kind.to_jwk(private_key(algorithm), as_dict=True) | {"key_ops": ["verify"]}
    public = {name: value for name, value in private.items() if name != "d"}

    assert read_keys({"keys": [private]}) == ()
    assert len(read_keys({"keys": [public]})) == 1


def test_a_name_that_is_no_string_is_none() -> None:
    assert [key.kid for key in read_keys({"keys": [EC | {"kid": 7}]})] == [None]


def test_no_more_keys_are_read_than_an_issuer_can_need() -> None:
    assert len(read_keys({"keys": [EC] * 10_000})) == 64


async def test_an_unnamed_key_is_sought_among_a_handful() -> None:
    keys = FixedKeys({"keys": [EC | {"kid": str(number)} for number in range(20)]})

    assert len(await keys.find("ES256", None)) == 4
    assert len(await keys.find("ES256", "17")) == 1
