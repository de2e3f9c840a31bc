"""A model by rule: an OpenAI-compatible endpoint that calls the functions whose names a request mentions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.auth.loopback import served

Body = dict[str, Any]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def by_words(text: str, names: list[str]) -> list[str]:
    """Return the name that shares most words with a text, the first of equals; none where none does."""
    said = _words(text)
    shared = [len(said & _words(name)) for name in names]
    return [names[shared.index(max(shared))]] if any(shared) else []


@dataclass(slots=True)
class RuleEndpoint:
    """Answers chat completions.

    Attributes:
        faults: Each is answered with once, in order, before anything else is.
        key: API key that it asks for, or ``""``.
        counts: Whether it says how many tokens there were.
        most: Most functions that it takes.
        delay_s: Seconds before it answers.
        picks: Takes a request and the names of its functions; returns the names to call.
        asked: The bodies that came.
        base_url: Where it is.
    """

    faults: list[Response] = field(default_factory=list)
    key: str = ""
    counts: bool = True
    most: int = 128
    delay_s: float = 0.0
    picks: Callable[[str, list[str]], list[str]] = by_words
    asked: list[Body] = field(default_factory=list)
    base_url: str = ""

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "Incorrect API key provided"}}, 401)
        body: Body = await request.json()
        self.asked.append(body)
        await asyncio.sleep(self.delay_s)
        if self.faults:
            return self.faults.pop(0)
        if len(body["tools"]) > self.most:
            return JSONResponse({"error": {"message": f"more than {self.most} tools"}}, 400)
        return JSONResponse(self._completion(body))

    def _completion(self, body: Body) -> Body:
        names = [tool["function"]["name"] for tool in body["tools"]]
        picked = self.picks(body["messages"][-1]["content"], names)
        calls = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": "{}"}}
            for n, name in enumerate(picked)
        ]
        message: Body = {"role": "assistant", "content": None if calls else "I know no tool for this."}
        message |= {"tool_calls": calls} if calls else {}
        usage = {"usage": {"prompt_tokens": 100 + len(names), "completion_tokens": 7, "total_tokens": 0}}
        return {
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        } | (usage if self.counts else {})


@contextmanager
def running(endpoint: RuleEndpoint) -> Iterator[RuleEndpoint]:
    """Serve an endpoint on loopback."""
    app = Starlette(routes=[Route("/v1/chat/completions", endpoint.answer, methods=["POST"])])
    with served(lambda _: app) as origin:
        endpoint.base_url = f"{origin}/v1"
        yield endpoint
