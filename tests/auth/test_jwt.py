from __future__ import annotations

import hashlib
import hmac
import logging
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools import Principal
from scopedtools.auth.jwks import ALGORITHMS
from scopedtools.auth.jwt import JwtVerifier
from scopedtools.exceptions import DefinitionError
from scopedtools.types import TokenVerifier
from tests.auth.issuer import RESOURCE, Issuer, encoded, private_key, public_jwk

pytestmark = pytest.mark.anyio


def verifier(issuer: Issuer, /, **settings: Any) -> JwtVerifier:
    return JwtVerifier(**{"issuer": issuer.url, "audience": RESOURCE, "jwks": issuer.jwks} | settings)


@pytest.fixture
def known() -> Issuer:
    """An issuer with one key, whose set is given."""
    issuer = Issuer()
    issuer.publish("one")
    return issuer


# Good tokens


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_signed_with_a_published_key_is_its_subjects(issuer: Issuer, algorithm: str) -> None:
    key = issuer.publish("one", algorithm)
    of: TokenVerifier = verifier(issuer, jwks=None, jwks_url=issuer.jwks_url)
    token = issuer.token(algorithm=algorithm, key=key, scope="read write")

    assert await of.verify(token) == Principal(f"{issuer.url}#alice", frozenset({"read", "write"}))
    assert issuer.fetches == 1


async def test_tokens_made_by_the_library_are_accepted(known: Issuer) -> None:
    token = jwt.encode(known.claims(), private_key("ES256"), algorithm="ES256", headers={"kid": "one"})

    assert await verifier(known).verify(token)


async def test_the_same_subject_of_two_issuers_is_two_principals() -> None:
    principals = set()
    for url in ("https://a.example.com", "https://b.example.com"):
        issuer = Issuer(url)
        issuer.publish("one")
        principals.add(await verifier(issuer).verify(issuer.token()))

    assert {principal and principal.name for principal in principals} == {
        "https://a.example.com#alice",
        "https://b.example.com#alice",
    }


async def test_another_claim_may_say_whose_token_it_is(known: Issuer) -> None:
    of = verifier(known, principal_claim="client_id")

    assert await of.verify(known.token(client_id="agent-7")) == Principal(f"{known.url}#agent-7")
    assert await of.verify(known.token()) is None


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read write"}, {"read", "write"}),
        ({"scope": " read  write "}, {"read", "write"}),
        ({"scope": ["read", "write"]}, {"read", "write"}),
        ({"scp": ["read", "write"]}, {"read", "write"}),
        ({"scp": "read write"}, {"read", "write"}),
        ({"scope": "read", "scp": ["write"]}, {"read"}),
        ({"scope": ""}, set()),
        ({"scope": ["read", 7, "", None, ["write"]]}, {"read"}),
        ({"scope": 7}, set()),
        ({"scope": {"read": True}}, set()),
        ({}, set()),
    ],
)
async def test_scopes_come_from_scope_or_scp(known: Issuer, claims: dict[str, Any], scopes: set[str]) -> None:
    principal = await verifier(known).verify(known.token(**claims))

    assert principal is not None
    assert principal.scopes == scopes


async def test_a_scope_claim_of_null_leaves_the_word_to_scp(known: Issuer) -> None:
    header, _, _ = known.token().split(".")
    signed = f"{header}.{encoded(known.claims(scp=['read']) | {'scope': None})}"
    signature = jwt.get_algorithm_by_name("ES256").sign(signed.encode(), private_key("ES256"))
    principal = await verifier(known).verify(f"{signed}.{encoded(signature)}")

    assert principal is not None
    assert principal.scopes == {"read"}


async def test_scopes_may_have_a_claim_of_their_own(known: Issuer) -> None:
    principal = await verifier(known, scope_claim="permissions").verify(
        known.token(scope="write", permissions=["read"])
    )

    assert principal is not None
    assert principal.scopes == {"read"}


# Wrong claims


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": int(time.time()) + 600},
        {"nbf": "later"},
        {"iat": int(time.time()) + 600},
        {"iss": None},
        {"iss": "https://auth.example.com/"},
        {"iss": "https://evil.example.com"},
        {"iss": ["https://auth.example.com"]},
        {"aud": None},
        {"aud": []},
        {"aud": ""},
        {"aud": "https://other.example.com/mcp"},
        {"aud": ["https://other.example.com/mcp"]},
        {"aud": RESOURCE + "/"},
        {"aud": RESOURCE[:-1]},
        {"aud": "https://mcp.example.com"},
        {"aud": {RESOURCE: True}},
        {"aud": [RESOURCE, 7]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_nobodys(known: Issuer, claims: dict[str, Any]) -> None:
    assert await verifier(known).verify(known.token(**claims)) is None


async def test_a_token_without_claims_is_nobodys(known: Issuer) -> None:
    header, _, _ = known.token().split(".")
    for payload in (b"", b"7", b"[]", b"null", b"{", b"[" * 5000, b"\xff"):
        signed = f"{header}.{encoded(payload)}"
        signature = jwt.get_algorithm_by_name("ES256").sign(signed.encode(), private_key("ES256"))
        assert await verifier(known).verify(f"{signed}.{encoded(signature)}") is None


async def test_clocks_may_differ_by_the_leeway(known: Issuer) -> None:
    late, early = known.token(exp=int(time.time()) - 20), known.token(nbf=int(time.time()) + 20)

    assert await verifier(known).verify(late)
    assert await verifier(known).verify(early)
    assert await verifier(known, leeway_s=0).verify(late) is None
    assert await verifier(known, leeway_s=0).verify(early) is None


async def test_the_audience_may_be_one_of_a_list(known: Issuer) -> None:
    assert await verifier(known).verify(known.token(aud=["https://other.example.com", RESOURCE]))


async def test_a_server_may_have_several_names(known: Issuer) -> None:
    of = verifier(known, audience=[RESOURCE, "api://orders"])

    assert await of.verify(known.token(aud="api://orders"))
    assert await of.verify(known.token(aud="api://other")) is None


@pytest.mark.parametrize("audience", ["https://mcp.example.com", "https://mcp.example.com/"])
async def test_a_host_is_meant_with_and_without_its_slash(known: Issuer, audience: str) -> None:
    of = verifier(known, audience=audience)

    assert await of.verify(known.token(aud="https://mcp.example.com"))
    assert await of.verify(known.token(aud="https://mcp.example.com/"))
    assert await of.verify(known.token(aud="https://mcp.example.com//")) is None


# Types


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", None])
async def test_access_tokens_and_plain_jwts_are_accepted(known: Issuer, kind: str | None) -> None:
    assert await verifier(known).verify(known.token(header={"typ": kind}))


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "at+jwt;x", 7, ["at+jwt"]])
async def test_a_jwt_of_another_type_is_nobodys(known: Issuer, kind: Any) -> None:
    assert await verifier(known).verify(known.token(header={"typ": kind})) is None


@pytest.mark.parametrize(("kind", "good"), [("at+jwt", True), ("JWT", False), (None, False)])
async def test_nothing_but_access_tokens_where_that_is_asked_for(
    known: Issuer, kind: str | None, good: Any
) -> None:
    token = known.token(header={"typ": kind})

    assert (await verifier(known, require_at_jwt=True).verify(token) is not None) == good


# Wrong signatures


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_a_token_without_a_signature_is_nobodys(known: Issuer, name: str) -> None:
    header = encoded({"alg": name, "kid": "one", "typ": "at+jwt"})

    assert await verifier(known).verify(f"{header}.{encoded(known.claims())}.") is None
    assert await verifier(known).verify(f"{header}.{encoded(known.claims())}") is None


@pytest.mark.parametrize("digest", ["256", "384", "512"])
async def test_a_public_key_is_no_secret_to_sign_with(digest: str) -> None:
    issuer = Issuer()
    public = issuer.publish("one", "RS256").public_key()
    jwk = issuer.jwks["keys"][0]
    signed = f"{encoded({'alg': 'HS' + digest, 'kid': 'one'})}.{encoded(issuer.claims())}"
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        jwk["n"].encode(),
        b"",
    ]
    for secret in secrets:
        signature = hmac.digest(secret, signed.encode(), getattr(hashlib, f"sha{digest}"))
        assert await verifier(issuer).verify(f"{signed}.{encoded(signature)}") is None


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256K", "RS1", "RSA-OAEP"])
def test_algorithms_that_are_not_for_public_keys_cannot_be_accepted(known: Issuer, algorithm: str) -> None:
    with pytest.raises(DefinitionError, match="algorithms must be of RS256"):
        verifier(known, algorithms=["RS256", algorithm])


async def test_only_accepted_algorithms_are_tried(known: Issuer) -> None:
    known.publish("two", "RS256")
    of = verifier(known, algorithms=["RS256"])

    assert await of.verify(known.token("two", "RS256"))
    assert await of.verify(known.token("two", "PS256", key=private_key("RS256"))) is None
    assert await of.verify(known.token("one")) is None


async def test_a_key_verifies_only_what_it_is_published_for() -> None:
    issuer = Issuer()
    key = issuer.publish("one", "RS256", alg="RS256")

    assert await verifier(issuer).verify(issuer.token("one", "RS256", key=key))
    assert await verifier(issuer).verify(issuer.token("one", "PS256", key=key)) is None
    assert await verifier(issuer).verify(issuer.token("one", "RS512", key=key)) is None


async def test_a_key_of_another_kind_does_not_fit(known: Issuer) -> None:
    assert await verifier(known).verify(known.token("one", "EdDSA")) is None
    assert await verifier(known).verify(known.token("one", "ES384")) is None
    assert await verifier(known).verify(known.token("one", "EdDSA", header={"alg": "ES256"})) is None


async def test_a_key_that_the_token_brings_is_not_trusted(known: Issuer) -> None:
    own = private_key("ES256", 7)
    brought = {"jwk": public_jwk(own, kid="one"), "jku": "https://evil.example.com/jwks", "x5u": "https://e"}

    assert await verifier(known).verify(known.token(key=own, header=brought)) is None


async def test_a_critical_extension_that_nobody_knows_is_refused(known: Issuer) -> None:
    assert await verifier(known).verify(known.token(header={"crit": ["x"], "x": 1})) is None
    assert await verifier(known).verify(known.token(header={"crit": ["b64"], "b64": False})) is None


async def test_a_weak_key_is_refused() -> None:
    issuer = Issuer()
    weak = private_key("RS256", 0, 1024)
    issuer.jwks["keys"].append(public_jwk(weak, kid="one"))

    assert await verifier(issuer).verify(issuer.token("one", "RS256", key=weak)) is None


async def test_a_token_signed_by_somebody_else_is_nobodys(known: Issuer) -> None:
    assert await verifier(known).verify(known.token(key=private_key("ES256", 7))) is None


async def test_a_changed_token_is_nobodys(known: Issuer) -> None:
    header, _, signature = known.token().split(".")

    assert await verifier(known).verify(f"{header}.{encoded(known.claims(sub='root'))}.{signature}") is None


async def test_a_truncated_token_is_nobodys(known: Issuer) -> None:
    of, token = verifier(known), known.token()
    for length in range(len(token)):
        assert await of.verify(token[:length]) is None
        assert await of.verify(token[length + 1 :]) is None
    assert await of.verify(token)


async def test_a_token_of_several_parts_too_many_is_nobodys(known: Issuer) -> None:
    token = known.token()

    assert await verifier(known).verify(f"{token}.{token}") is None
    assert await verifier(known).verify(f"{token}.") is None


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("odd", ["\udc80", "é", "\x00", "=", " ", "\n", "%", "+", "/"])
async def test_an_odd_character_makes_a_token_nobodys(known: Issuer, place: int, odd: str) -> None:
    parts = known.token().split(".")
    parts[place] += odd

    assert await verifier(known).verify(".".join(parts)) is None


async def test_a_very_long_token_is_refused_unread(known: Issuer) -> None:
    assert await verifier(known).verify(known.token(filler="x" * 1_000))
    assert await verifier(known).verify(known.token(filler="x" * 20_000)) is None


# Keys


async def test_a_token_may_leave_its_key_unnamed() -> None:
    issuer = Issuer()
    issuer.publish(None, "RS256")
    issuer.publish(None, "ES256", 1)
    issuer.publish(None, "ES256", 2)

    assert await verifier(issuer).verify(issuer.token(None, key=private_key("ES256", 2)))
    assert await verifier(issuer).verify(issuer.token(None, key=private_key("ES256", 3))) is None
    assert await verifier(issuer).verify(issuer.token("one", key=private_key("ES256", 2))) is None


async def test_keys_of_different_kinds_may_share_a_name() -> None:
    issuer = Issuer()
    issuer.publish("one", "RS256")
    issuer.publish("one", "ES256")

    assert await verifier(issuer).verify(issuer.token("one", "ES256"))
    assert await verifier(issuer).verify(issuer.token("one", "RS256"))


@pytest.mark.parametrize("kid", [7, ["one"], {"one": 1}])
async def test_a_key_name_that_is_no_string_is_refused(known: Issuer, kid: Any) -> None:
    assert await verifier(known).verify(known.token(header={"kid": kid})) is None


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"issuer": ""}, "issuer must be a name without '#'"),
        ({"issuer": "https://auth.example.com#x"}, "issuer must be a name without '#'"),
        ({"audience": ""}, "audience must name this server"),
        ({"audience": []}, "audience must name this server"),
        ({"algorithms": []}, "algorithms must be of"),
        ({"jwks": None}, "either jwks_url or jwks"),
        ({"jwks_url": "https://auth.example.com/jwks"}, "either jwks_url or jwks"),
        ({"jwks": None, "jwks_url": "http://auth.example.com/jwks"}, "must begin with https://"),
        ({"jwks": None, "jwks_url": "auth.example.com/jwks"}, "must be an absolute URL"),
        ({"jwks": None, "jwks_url": "file:///etc/passwd"}, "must be an absolute URL"),
        ({"jwks": {}}, "jwks must be a JWK set"),
        ({"jwks": {"keys": []}}, "must hold a public key"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "one"}]}}, "must hold a public key"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_reported_at_once(known: Issuer, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        verifier(known, **settings)


async def test_one_algorithm_may_be_given_as_a_string(known: Issuer) -> None:
    assert await verifier(known, algorithms="ES256").verify(known.token())


# Whatever comes


async def test_what_is_logged_of_a_refused_token_is_the_kind_of_fault(
    known: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    token = known.token(exp=1, sub="mallory")
    with caplog.at_level(logging.DEBUG):
        await verifier(known).verify(token)

    assert "ExpiredSignatureError" in caplog.text
    assert not any(part in caplog.text for part in (*token.split("."), "mallory"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "cty", "zip"]),
    st.sampled_from(["ES256", "RS256", "EdDSA", "at+jwt", "one"]) | _JSON,
)
_FORGED = Issuer()
_FORGED.publish("one", "ES256")
_FORGED.publish("two", "RS256")
_FORGED.publish("three", "EdDSA")


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
async def test_no_text_is_a_token_nor_breaks_the_verifier(text: str) -> None:
    assert await verifier(_FORGED).verify(text) is None


@settings(deadline=None)
@given(_HEADERS, _JSON, st.binary(max_size=300))
async def test_no_forged_token_is_accepted_nor_breaks_the_verifier(
    header: dict[str, Any], payload: Any, signature: bytes
) -> None:
    token = f"{encoded(header)}.{encoded(payload)}.{encoded(signature)}"

    assert await verifier(_FORGED).verify(token) is None


@settings(deadline=None)
@given(st.sampled_from(["ES256", "RS256", "EdDSA"]), st.data())
async def test_no_changed_character_leaves_a_token_good(algorithm: str, data: st.DataObject) -> None:
    kid = {"ES256": "one", "RS256": "two", "EdDSA": "three"}[algorithm]
    token = _FORGED.token(kid, algorithm)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda char: char != token[place]))

    assert await verifier(_FORGED).verify(token) is not None
    assert await verifier(_FORGED).verify(token[:place] + other + token[place + 1 :]) is None
