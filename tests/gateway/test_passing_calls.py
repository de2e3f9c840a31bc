"""What goes through a gateway comes out as it went in, over every transport and in every era."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from mcp import Client as OfficialClient
from mcp_types import CreateMessageResult, ElicitResult, TextContent

from scopedtools import Context, ScopedServer, tool
from scopedtools.catalog.catalog import Catalog
from scopedtools.gateway import Gateway
from scopedtools.gateway import gateway as gateway_module
from scopedtools.testing import Client, WireError
from tests.gateway.fronted import WAYS, configured, described, fronted, serving, stdio, until
from tests.hosting import hosted

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),  # of the upstream
]


@pytest.mark.parametrize("way", WAYS)
async def test_rows_of_every_kind_are_listed_with_their_definitions(way: str) -> None:
    async with fronted(way) as (_, server), Client(server) as client:
        tools = {tool["name"]: tool for tool in await client.list_tools()}
        assert tools["up__add"]["title"] == "Add two numbers"
        assert tools["up__add"]["annotations"] == {"readOnlyHint": True}
        assert tools["up__add"]["outputSchema"]["properties"] == {
            "result": {"title": "Result", "type": "integer"}
        }
        assert [one["uri"] for one in await client.list_all("resources")] == ["note://today"]
        assert [one["uriTemplate"] for one in await client.list_all("resources/templates")] == [
            "note://{day}"
        ]
        prompt = {"name": "up__greet", "description": "Greet somebody."}
        assert await client.list_all("prompts") == [
            prompt | {"arguments": [{"name": "name", "required": True}]}
        ]


@pytest.mark.parametrize("way", WAYS)
async def test_calls_reads_prompts_and_completions_are_answered_by_the_server(way: str) -> None:
    async with fronted(way) as (_, server), Client(server) as client:
        result = await client.call_tool("up__add", a=1, b=2)
        assert (result["content"], result["structuredContent"]) == (
            [{"type": "text", "text": "3"}],
            {"result": 3},
        )
        assert (await client.call_tool("up__fail", why="no"))["isError"] is True
        read = await client.request("resources/read", uri="note://monday")
        contents = {"uri": "note://monday", "mimeType": "text/plain", "text": "note of monday"}
        assert read["contents"] == [contents]
        prompt = await client.request("prompts/get", name="up__greet", arguments={"name": "Ann"})
        assert prompt["messages"] == [{"role": "user", "content": {"type": "text", "text": "Hello Ann"}}]


async def test_an_error_of_the_server_is_the_error_that_the_client_gets() -> None:
    async with fronted("stdio") as (_, server), Client(server) as client:
        with pytest.raises(WireError) as caught:
            await client.request("prompts/get", name="up__greet", arguments={})
        assert caught.value.wire_code in (-32602, -32603)


@pytest.mark.parametrize("way", WAYS)
async def test_progress_reaches_the_client_before_the_result(way: str) -> None:
    async with (
        fronted(way) as (_, server),
        hosted(server) as (host, port),
        OfficialClient(f"http://{host}:{port}/mcp") as client,
    ):
        told: list[tuple[float, float | None, str | None]] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))

        await client.call_tool("up__slow", {"seconds": 0}, progress_callback=hear)
        assert told == [(1, 2, "half")]


@pytest.mark.parametrize("way", ["stdio-legacy", "http-legacy"])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_questions_of_a_legacy_server_reach_clients_of_both_eras(way: str, mode: Any) -> None:
    asked: list[str] = []

    async def elicit(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async def sample(context: Any, params: Any) -> CreateMessageResult:
        asked.append(params.messages[0].content.text)
        return CreateMessageResult(role="assistant", model="m", content=TextContent(type="text", text="hi"))

    async with fronted(way) as (_, server), hosted(server) as (host, port):
        url = f"http://{host}:{port}/mcp"
        async with OfficialClient(
            url, mode=mode, elicitation_callback=elicit, sampling_callback=sample
        ) as client:
            answer = await client.call_tool("up__wipe")
            assert answer.content[0].text == "accept True"  # type: ignore[union-attr]
            assert "hi" in (await client.call_tool("up__think")).content[0].text  # type: ignore[union-attr]
    assert asked == ["Really?", "Say hi"]


class Asker(ScopedServer):
    """Asks in rounds, as 2026-07-28 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    @tool
    async def book(self, city: str, ctx: Context) -> str:
        """Book a trip."""
        self.begun += 1
        first = await ctx.elicit("When?", {"type": "object", "properties": {}})
        second = await ctx.elicit("Sure?", {"type": "object", "properties": {}})
        return f"{city} {first.data} {second.action}"


async def test_questions_in_rounds_reach_the_client_and_their_answers_the_server() -> None:
    asker, asked = Asker(), []

    async def elicit(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"n": len(asked)})

    async with hosted(asker) as (host, port):
        config = configured({"trips": {"url": f"http://{host}:{port}/mcp"}})
        async with (
            Gateway(config).running() as gateway,
            serving(gateway) as server,
            hosted(server) as (own_host, own_port),
        ):
            url = f"http://{own_host}:{own_port}/mcp"
            for mode in ("legacy", "auto"):
                async with OfficialClient(url, mode=mode, elicitation_callback=elicit) as client:
                    result = await client.call_tool("trips__book", {"city": "Rome"})
                    assert result.content[0].text.startswith("Rome {'n': ")  # type: ignore[union-attr]
    assert asked == ["When?", "Sure?"] * 2
    assert asker.begun == 2 * 3  # a call and two rounds, not one more for each round of ours


@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_that_the_server_adds_is_told_as_a_changed_catalog(way: str) -> None:
    told: list[Catalog] = []

    async def changed(catalog: Catalog) -> None:
        told.append(catalog)

    async with described(way) as one, Gateway(configured({"up": one})).running(changed) as gateway:
        before = len(gateway.catalog)
        async with serving(gateway) as server, Client(server) as client:
            await client.call_tool("up__grow")
            await until(lambda: len(gateway.catalog) == before + 1)
    assert told[-1].find("tool", "up__add_8") is not None


async def test_a_changed_catalog_that_was_not_taken_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "_AGAIN_S", 0.1)
    told: list[int] = []

    async def changed(catalog: Catalog) -> None:
        told.append(len(catalog))
        if len(told) == 2:
            raise OSError("no selector just now")

    async with Gateway(configured({"up": stdio()})).running(changed) as gateway:
        before = len(gateway.catalog)
        async with serving(gateway) as server, Client(server) as client:
            await client.call_tool("up__grow")
            await until(lambda: len(told) == 3)
            assert told == [before, before + 1, before + 1]
            await until(lambda: len(gateway.catalog) == before + 1)


@pytest.mark.parametrize("way", ["stdio", "http-legacy"])
async def test_what_the_server_logs_during_a_call_reaches_its_client(way: str) -> None:
    heard: list[Any] = []

    async def hear(params: Any) -> None:
        heard.append((params.level, params.data))

    async with fronted(way) as (_, server), hosted(server) as (host, port):
        url = f"http://{host}:{port}/mcp"
        async with OfficialClient(url, logging_callback=hear, log_level="debug") as client:
            await client.call_tool("up__chat")
            await until(lambda: heard == [("warning", "careful")])


async def test_results_reach_clients_of_the_first_revision_without_what_they_do_not_know() -> None:
    async with fronted("stdio") as (gateway, _):
        server = ScopedServer(catalog=gateway.catalog)
        transport = httpx2.ASGITransport(app=server)
        async with server, httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:

            async def ask(method: str, **params: Any) -> dict[str, Any]:
                accept = "application/json, text/event-stream"
                headers = {"accept": accept, "mcp-protocol-version": "2025-03-26"}
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                result: dict[str, Any] = (await http.post("/mcp", json=body, headers=headers)).json()[
                    "result"
                ]
                return result

            assert await ask("tools/call", name="up__add", arguments={"a": 1, "b": 2}) == {
                "content": [{"type": "text", "text": "3"}]
            }
            assert (await ask("resources/read", uri="note://today"))["contents"][0]["text"] == "rain"
            prompt = await ask("prompts/get", name="up__greet", arguments={"name": "A"})
            assert prompt["messages"][0]["content"] == {"type": "text", "text": "Hello A"}
