"""Lists that the official clients keep: whose list comes out of their caches.

The same rounds are played against a server that narrows its lists naively, where clients get lists of the
wrong context, and against ours, where none does.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import pytest

from scopedtools.protocol.meta import EXTENSION, INTENT
from tests.auth.loopback import served
from tests.clients.caching import INVALID, Round, play
from tests.clients.depot import KINDS, depot
from tests.clients.naive_server import TTL_MS, Naive

if TYPE_CHECKING:
    from tests.clients.conftest import Driver

pytestmark = pytest.mark.slow

Answers: TypeAlias = list[list[str]]
Place: TypeAlias = Literal["header", "meta", "extension"]

INTENTS: Final = {
    "A": "Send invoices to customers and record their payments.",
    "B": "Book a flight and a hotel for a trip.",
}


@dataclass(frozen=True, slots=True)
class Move:
    """One client lists.

    Attributes:
        context: Which context it names, ``A`` or ``B``, or ``None`` to name none.
        place: Where.
        client: Which client.
        intent: Of which context, where it is not its own.
    """

    context: str | None
    place: Place = "meta"
    client: int = 0
    intent: str | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """Moves of one client, or of several that keep what they list in one place.

    Attributes:
        moves: In order.
        users: Whose client each is.
    """

    moves: tuple[Move, ...]
    users: tuple[str, ...] = ("ada",)

    def round(self, url: str, *, declared: Mapping[str, Any] | None, kinds: tuple[str, ...]) -> Round:
        """Return it as the clients are told, with new IDs of contexts.

        Args:
            url: Of the server.
            declared: Settings of our extension that each client declares, or ``None`` to declare none.
            kinds: What they list.
        """
        ids = {name: f"{name}-{uuid.uuid4()}" for name in INTENTS}
        clients = range(len(self.users))
        return {
            "url": url,
            "shared": len(self.users) > 1,
            "clients": [
                {"user": self.users[client], "extensions": self._extensions(client, declared, ids)}
                for client in clients
            ],
            "steps": [
                {
                    "client": move.client,
                    "headers": _headers(move, ids),
                    "meta": _meta(move, ids),
                    "kinds": list(kinds),
                }
                for move in self.moves
            ],
        }

    def _extensions(
        self, client: int, declared: Mapping[str, Any] | None, ids: Mapping[str, str]
    ) -> dict[str, Any]:
        settings = dict(declared or {})
        for move in self.moves:
            if move.client == client and move.place == "extension" and move.context is not None:
                settings |= {"contextId": ids[move.context], "intent": INTENTS[move.context]}
        return {EXTENSION: settings} if settings or declared is not None else {}


def _headers(move: Move, ids: Mapping[str, str]) -> dict[str, str]:
    if move.context is None or move.place != "header":
        return {}
    intent = INTENTS[move.intent or move.context]
    return {"Mcp-Client-Session-Id": ids[move.context], "Mcp-Context-Intent": intent}


def _meta(move: Move, ids: Mapping[str, str]) -> dict[str, Any] | None:
    if move.context is None or move.place != "meta":
        return None
    return {"clientSessionId": ids[move.context], INTENT: INTENTS[move.intent or move.context]}


def _by(place: Place, *contexts: str | None) -> Play:
    return Play(tuple(Move(context, place) for context in contexts))


PLAYS: Final = {
    "contexts by meta": _by("meta", "A", "B", "A"),
    "contexts by header": _by("header", "A", "B", "A"),
    "a context by meta, then none": _by("meta", "A", None),
    "a context by header, then none": _by("header", "A", None),
    "none, then a context by meta": _by("meta", None, "A"),
    "none, then a context by header": _by("header", None, "A"),
    "one by meta, one by header": Play((Move("A", "meta"), Move("B", "header"), Move("A", "header"))),
    "two clients by header": Play((Move("A", "header"), Move("B", "header", 1)), ("ada", "ada")),
    "two clients by extension": Play((Move("A", "extension"), Move("B", "extension", 1)), ("ada", "ada")),
    "one client with none, one with a context": Play(
        (Move(None), Move("B", "header", 1), Move(None)), ("ada", "ada")
    ),
    "one client with a context, one with none": Play(
        (Move("A", "extension"), Move(None, client=1)), ("ada", "ada")
    ),
    "clients of two users": Play((Move("A", "header"), Move("B", "header", 1)), ("ada", "bo")),
}

UNKEPT: Final = {"cacheScopes": ["context"]}
"""A promise that official clients cannot keep by themselves: they refuse every list that relies on it."""

RIGHT: Final = {"mcp": {"contexts by meta", "none, then a context by meta"}, "npm": set[str]()}
"""Where a client asks the naive server anew: mcp 2.3.0 does with any ``_meta``, but keeps the answer."""


# The clients


@dataclass(frozen=True, slots=True)
class Caching:
    """An official client that keeps lists.

    Attributes:
        name: Its package.
        play: Plays a round.
    """

    name: str
    play: Callable[[Round], Answers]

    def play_afresh(self, played: Round) -> Answers:
        """Play the same with a new client, which holds nothing, for each step."""
        alone: Answers = []
        for step in played["steps"]:
            keeper = played["clients"][step["client"]]
            alone += self.play(
                {**played, "shared": False, "clients": [keeper], "steps": [{**step, "client": 0}]}
            )
        return alone


@pytest.fixture(scope="module", params=["mcp", pytest.param("npm", marks=pytest.mark.node)])
def caching(request: pytest.FixtureRequest) -> Caching:
    if request.param == "mcp":
        return Caching("mcp", lambda played: asyncio.run(play(played)))
    driver: Driver = request.getfixturevalue("caching_npm_2_4_0")

    def pay(played: Round) -> Answers:
        (sight,) = cast("Any", driver).pay([played])
        answers: Answers = sight["answers"]
        return answers

    return Caching("npm", pay)


@pytest.fixture(scope="module")
def naive() -> Iterator[tuple[Naive, str]]:
    """Return the naive server and where it is."""
    server = Naive()
    with served(lambda _: server.app, lifespan="on") as origin:
        yield server, f"{origin}/mcp"


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    with served(lambda _: depot(), lifespan="on") as origin:
        yield f"{origin}/mcp"


# The naive server


@pytest.mark.parametrize("scope", ["public", "private"])
@pytest.mark.parametrize("name", PLAYS)
def test_a_naive_server_makes_clients_show_the_list_of_another_context(
    naive: tuple[Naive, str], caching: Caching, name: str, scope: str
) -> None:
    _, url = naive
    played = PLAYS[name].round(f"{url}?scope={scope}&ttl={TTL_MS}", declared=None, kinds=("tools",))

    goes_wrong = caching.play(played) != caching.play_afresh(played)

    told_apart = len(set(PLAYS[name].users)) > 1 and scope == "private"
    assert goes_wrong == (name not in RIGHT[caching.name] and not told_apart)


def test_a_naive_server_gives_npm_the_list_of_one_context_for_the_next_without_being_asked(
    naive: tuple[Naive, str], caching: Caching
) -> None:
    server, url = naive
    played = PLAYS["contexts by meta"].round(
        f"{url}?scope=private&ttl={TTL_MS}", declared=None, kinds=("tools",)
    )
    before = server.lists

    first, second, third = caching.play(played)

    pages = server.lists - before
    if caching.name == "npm":
        assert first == second == third
        assert pages == 2
    else:
        assert first == third != second
        assert pages == 6


def test_a_naive_server_makes_mcp_show_a_list_of_which_each_page_is_of_another_context(
    naive: tuple[Naive, str], caching: Caching
) -> None:
    _, url = naive
    played = PLAYS["contexts by header"].round(
        f"{url}?scope=private&ttl={TTL_MS}", declared=None, kinds=("tools",)
    )

    mixed = caching.play(played)[1]

    # The npm client keeps all pages as one list.
    assert [name[0] for name in mixed] == (list("AABB") if caching.name == "mcp" else list("AAAA"))


@pytest.mark.parametrize("name", PLAYS)
def test_a_naive_server_that_lets_nobody_keep_a_list_is_always_asked(
    naive: tuple[Naive, str], caching: Caching, name: str
) -> None:
    _, url = naive
    played = PLAYS[name].round(f"{url}?scope=private&ttl=0", declared=None, kinds=("tools",))

    assert caching.play(played) == caching.play_afresh(played)


@pytest.mark.parametrize("ttl_ms", [0, TTL_MS])
def test_a_naive_server_that_says_context_to_everybody_is_understood_by_nobody(
    naive: tuple[Naive, str], caching: Caching, ttl_ms: int
) -> None:
    _, url = naive
    played = PLAYS["contexts by meta"].round(
        f"{url}?scope=context&ttl={ttl_ms}", declared=None, kinds=("tools",)
    )

    assert caching.play(played) == [[INVALID]] * 3


# Ours


@pytest.mark.parametrize(
    "declared",
    [None, {}, {"growth": True}, {"cacheScopes": []}, {"cacheScopes": ["public", "private"]}, UNKEPT],
    ids=["nothing", "the extension", "growth", "no scope", "scopes of the protocol", "context"],
)
@pytest.mark.parametrize("name", PLAYS)
def test_here_no_client_shows_the_list_of_another_context(
    ours: str, caching: Caching, name: str, declared: dict[str, Any] | None
) -> None:
    played = PLAYS[name].round(ours, declared=declared, kinds=KINDS)

    shown = caching.play(played)

    assert shown == caching.play_afresh(played)
    contexts = {move.context: names for move, names in zip(PLAYS[name].moves, shown, strict=True)}
    if declared == UNKEPT:
        refused = [INVALID] * len(KINDS)
        assert all((names == refused) == (context is not None) for context, names in contexts.items())
    else:
        assert len({tuple(names) for names in contexts.values()}) == len(contexts)


def test_here_a_list_that_grows_is_shown_as_it_has_grown(ours: str, caching: Caching) -> None:
    moves = (Move("A"), Move("B"), Move("A", intent="B"), Move("B"), Move("A", intent="B"))
    played = Play(moves).round(ours, declared={"growth": True}, kinds=("tools",))

    seed, other, grown, again, kept = caching.play(played)

    assert grown[: len(seed)] == seed
    assert len(grown) > len(seed)
    assert kept == grown
    assert again == other
