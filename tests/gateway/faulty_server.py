"""Servers that do what they should not, on standard input and output, without any SDK: ``... CASE``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASE = sys.argv[1]
STATE = Path(sys.argv[2]) if len(sys.argv) > 2 else None
OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


def tool(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": f"Do {name}.", "inputSchema": OBJECT} | fields


def listed() -> list[Any]:  # noqa: PLR0911 - one for each case
    if CASE == "huge-schema":
        big = {"type": "object", "properties": {"a": {"type": "string", "description": "x" * (50 * 2**20)}}}
        return [tool("fine"), tool("huge", inputSchema=big)]
    if CASE == "many-values":
        return [tool("fine"), tool("wide", inputSchema={"type": "object", "x": [[0]] * 2_500_000})]
    if CASE == "large-schema":
        big = {"type": "object", "properties": {"a": {"type": "string", "enum": ["x" * 2**21]}}}
        return [tool("fine"), tool("large", inputSchema=big)]
    if CASE == "junk-rows":
        deep: dict[str, Any] = {}
        for _ in range(300):
            deep = {"properties": {"a": deep}}
        return [
            *(7, None, {}, {"name": 3}, {"name": ""}, tool("x" * 500), tool("deep", inputSchema=deep)),
            tool("list", inputSchema=[1]),
            tool("bidi\u202eevil"),
            tool("fine", annotations=[], outputSchema="?", icons=5, description=["?"]),
        ]
    if CASE == "dirty-texts":
        schema = {
            "type": "object",
            "properties": {
                "a": {"$ref": "http://127.0.0.1:1/schema.json", "description": "\u202eodd\x1b[31m"},
                "b": {"$ref": "#/$defs/b"},
            },
            "$defs": {"b": {"type": "string"}},
        }
        return [tool("fine", description="A\x00B\u202eC" + "d" * 10**5, inputSchema=schema)]
    if CASE == "five-thousand" or (CASE == "grows" and CALLED):
        return [tool(f"tool_{number}") for number in range(5000)]
    if CASE == "tasks":
        required = {"execution": {"taskSupport": "required"}}
        return [tool("fine", **required), tool("other", **required), tool("count")]
    if CASE == "renames" and STATE is not None and STATE.exists():
        return [tool("renamed")]
    return [tool("fine"), tool("other")]


CALLED: list[str] = []
CANCELLED: list[str] = []
LATER: list[dict[str, Any]] = []
NOTHING: dict[str, Any] = {"no": "answer"}


def tasks(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Answer as a server with tasks of 2025-11-25, one of which never ends."""
    name = params.get("name")
    if method == "tools/call" and name == "count":
        return {"content": [{"type": "text", "text": f"{len(CANCELLED)} cancelled"}]}
    if method == "tools/call" and "task" in params:
        token = params["_meta"]["progressToken"]
        LATER.append({"progressToken": token, "progress": 1, "total": 2, "message": "by token"})
        return {"task": {"taskId": name, "status": "working", "ttl": None, "pollInterval": 20}}
    if method == "tasks/get":
        state = {"taskId": params["taskId"], "status": "working", "ttl": None, "pollInterval": 20}
        return state if params["taskId"] == "fine" else state | {"statusMessage": "for ever"}
    if method == "tasks/result" and params["taskId"] == "fine":
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": LATER[0]})
        return {"content": [{"type": "text", "text": "fine as a task"}]}
    if method == "tasks/cancel":
        CANCELLED.append(params["taskId"])
        return {}
    return NOTHING if method == "tasks/result" else None


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:  # noqa: C901, PLR0911
    if method == "initialize":
        info = {"name": "faulty", "version": "1"}
        if CASE == "tasks":
            offered: dict[str, Any] = {
                "tools": {},
                "tasks": {"requests": {"tools": {"call": {}}}, "cancel": {}},
            }
            return {"protocolVersion": "2025-11-25", "capabilities": offered, "serverInfo": info}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": listed()}
    if CASE == "tasks" and (result := tasks(method, params)) is not None:
        return result
    if method == "tools/call":
        called = str(params["name"])
        if CASE == "dies":
            os._exit(3)
        if CASE == "junk-results":
            return {"content": "no list", "structuredContent": 5}
        if CASE == "huge-results":
            return {"content": [{"type": "text", "text": "x" * (20 * 2**20)}]}
        CALLED.append(called)
        if CASE == "slow":
            time.sleep(3)
        if CASE == "renames" and STATE is not None:
            STATE.touch()
        if CASE in ("renames", "grows"):
            say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return {"content": [{"type": "text", "text": f"{called} {os.getpid()}"}]}
    return {} if method == "ping" else None


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    if CASE == "parent" and STATE is not None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        STATE.write_text(str(child.pid))
    if CASE == "noisy":
        sys.stderr.write("secretless noise\n" * 5000)
    if CASE == "silent":
        time.sleep(600)
    for line in sys.stdin:
        message = json.loads(line)
        if CASE == "chatter":
            sys.stdout.write("Server listening...\n{not json}\n[1,2]\n\n")
        if "id" not in message or "method" not in message:
            continue
        reply = reply_to(message)
        if reply is not None:
            say(reply)


def reply_to(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is said to a request."""
    result = answer(message["method"], message.get("params") or {})
    if result is NOTHING:
        return None
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    error = {"code": -32601, "message": "Method not found"}
    return reply | ({"error": error} if result is None else {"result": result})


if __name__ == "__main__":
    main()
