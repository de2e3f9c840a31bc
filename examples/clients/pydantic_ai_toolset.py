"""pydantic-ai: one agent, whose dependencies say what each run works on.

Run: python examples/clients/pydantic_ai_toolset.py http://127.0.0.1:8000/mcp
"""

import asyncio
import sys
import uuid
from dataclasses import dataclass, field

from pydantic_ai import Agent, ModelMessage, ModelResponse, RunContext, TextPart, ToolCallPart
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.function import AgentInfo, FunctionModel


@dataclass
class Work:
    """A unit of work, which may take several runs."""

    intent: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


def headers(ctx: RunContext[Work]) -> dict[str, str]:
    """Name the unit of work of a run on all its requests."""
    return {"Mcp-Client-Session-Id": ctx.deps.id, "Mcp-Context-Intent": ctx.deps.intent}


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Stand in for a model: call a tool that is not listed, then say what tools there are."""
    if len(messages) == 1:
        count = {"name": "count_cash", "arguments": {"coins": 3, "notes": 40}}
        return ModelResponse(parts=[ToolCallPart("call_tool", count)])
    assert messages[-1].parts[0].content == {"total": 43}
    return ModelResponse(parts=[TextPart(" ".join(tool.name for tool in info.function_tools))])


async def work(agent: Agent[Work], intent: str) -> None:
    """Run the agent twice for a unit of work."""
    deps = Work(intent)
    names = (await agent.run("How much cash is there?", deps=deps)).output
    assert "count_cash" not in names
    assert (await agent.run("And now?", deps=deps)).output == names
    print(intent, names)


async def main(url: str) -> None:
    """Do two units of work at once."""
    agent = Agent(FunctionModel(model), deps_type=Work, toolsets=[MCPToolset(url, headers=headers)])
    await asyncio.gather(
        work(agent, "Send invoices to customers and record their payments."),
        work(agent, "Book a flight and a hotel for a trip."),
    )
    print("pydantic-ai: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
