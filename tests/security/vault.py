"""What the tests of threats share: a server with something to hide, and two principals."""

from __future__ import annotations

from typing import Any, Final

from scopedtools import Catalog, Context, Principal, ScopedServer, View, resource, tool
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Tool
from scopedtools.context.store import MemoryStore
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.storage import ContextRecord
from tests.wire.exchange import ENVELOPE

TOKENS: Final = StaticTokens({"a": Principal("ann", frozenset({"secret"})), "b": Principal("bob")})
ANN, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}
EXTENSION: Final = "io.github.scopedtools/context"


class Vault(ScopedServer):
    """Has secrets of ann's, and a hundred ordinary tools."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("verifier", TOKENS)
        rows = (
            Tool(
                name=f"{'secret' if number % 2 else 'open'}_{number:02}",
                description=f"Count the {'gold' if number % 2 else 'paper'} of shelf {number}",
                input_schema={"type": "object"},
                tags=frozenset({"secret"} if number % 2 else ()),
            )
            for number in range(100)
        )
        super().__init__(catalog=Catalog(rows), selector=HybridSelector(HashingEncoder()), **options)
        self.opened: list[str] = []

    @tool
    async def ping_vault(self) -> str:
        """Say that the vault is there."""
        self.opened.append("ping")
        return "here"

    @tool(tags={"secret"})
    async def open_vault(self) -> str:
        """Open the vault of gold."""
        self.opened.append("vault")
        return "gold"

    @resource("vault://{shelf}")
    async def shelf(self, shelf: str) -> str:
        """What is on a shelf."""
        self.opened.append(shelf)
        return "paper"

    @resource("vault://ledger", tags={"secret"})
    async def ledger(self) -> str:
        """The ledger."""
        self.opened.append("the ledger")
        return "gold"

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows if ctx.principal.has("secret") else rows - rows.tagged("secret")


class Watched(MemoryStore):
    """A store that remembers what it was asked and what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, bool]] = []

    async def get(self, key: bytes) -> ContextRecord | None:
        found = await super().get(key)
        self.steps.append(("get", found is not None))
        return found

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        kept = await super().add(key, record)
        self.steps.append(("add", kept is record))
        return kept


def in_context(name: str, intent: str | None = None) -> dict[str, Any]:
    """Return the parameters of a request in a context."""
    settings = {"contextId": name} | ({} if intent is None else {"intent": intent})
    capabilities = {"extensions": {EXTENSION: settings}}
    return {"_meta": ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": capabilities}}
