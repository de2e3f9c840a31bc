"""An upstream that runs as a process of ours and speaks on its standard input and output.

Instead of the official client's transport, which reads lines of any length, gives standard error no bounds,
and leaves the children of a server behind that ends by itself.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCMessage, jsonrpc_message_adapter

from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.errors import DownError
from scopedtools.gateway.lines import ENDS, Lines, TooLong
from scopedtools.gateway.values import has_more_values

_log: Final = logging.getLogger(__name__)

_EXIT_S: Final = 2.0
"""Seconds that a server has to end after its input ends, and again after SIGTERM."""

_REAP_S: Final = 0.2
"""Seconds until the exit of a server is known whose output has ended."""

_POLL_S: Final = 0.01
_STDERR_CHARACTERS: Final = 2000
_STDERR_LINES: Final = 100
_STDERR_SPAN_S: Final = 10.0
"""So many lines of a server's standard error go to the log in so many seconds."""

_ID_FIRST: Final = re.compile(rb'^\s*\{(?:\s*"jsonrpc"\s*:\s*"2.0"\s*,)?\s*"id"\s*:\s*(\d{1,15})\s*[,}]')
_ID_LAST: Final = re.compile(rb'"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2.0"\s*)?\}\s*$')

_Sent = MemoryObjectSendStream[SessionMessage | Exception]


@asynccontextmanager
async def run_process(config: ServerConfig) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server and end it, with every process that it started in its group.

    Yields:
        Streams of messages from and to the server.

    Raises:
        DownError: It cannot be started.
    """
    process = await _start(config)
    coming, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
    write, leaving = anyio.create_memory_object_stream[SessionMessage]()
    try:
        async with anyio.create_task_group() as tasks, read, write:
            tasks.start_soon(_read, process, config, coming)
            tasks.start_soon(_write, process, leaving)
            tasks.start_soon(_log_stderr, process, config.name)
            try:
                yield read, write
            except Exception as error:
                if await _exited(process, within_s=_REAP_S):
                    raise DownError(f"it ended by itself, with exit status {process.returncode}") from error
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await _stop(process)
                tasks.cancel_scope.cancel()
    finally:
        for stream in (coming, leaving):
            stream.close()


async def _start(config: ServerConfig) -> Process:
    if config.command is None:
        raise ValueError(f"{config.name} has no command")
    try:
        return await anyio.open_process(
            [config.command, *config.args],
            env=get_default_environment() | dict(config.env),
            cwd=config.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own, which is ended as a whole
        )
    except (OSError, ValueError) as error:
        raise DownError(f"cannot start {config.command!r}: {_why(error, config)}") from error


def _why(error: OSError | ValueError, config: ServerConfig) -> str:
    if not isinstance(error, OSError):
        return "its arguments are malformed"
    if config.cwd is not None and not Path(config.cwd).is_dir():
        return f"its cwd {config.cwd!r} is no folder"
    if isinstance(error, FileNotFoundError):
        hint = "; arguments belong in 'args'" if " " in str(config.command) else ""
        return f"there is no such program{hint}"
    return str(error.strerror)


async def _read(process: Process, config: ServerConfig, coming: _Sent) -> None:
    lines = Lines(config.limits.max_message_bytes)
    async with coming:
        async for chunk in _chunks(process.stdout):
            for line in lines.feed(chunk):
                message = _message(line, config)
                if message is None:
                    continue
                try:
                    await coming.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return


async def _chunks(stream: ByteReceiveStream | None) -> AsyncIterator[bytes]:
    with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        while stream is not None:
            yield await stream.receive()


def _message(line: bytes | TooLong, config: ServerConfig) -> SessionMessage | None:
    name = config.name
    if isinstance(line, TooLong):
        _log.warning("%s sent a message of %d bytes, which was not read", name, line.size)
        return _unreadable(line.head, line.tail, f"the answer had {line.size} bytes, which is too large")
    if not line.strip():
        return None
    if has_more_values(line, config.limits.max_values):
        _log.warning("%s sent a message of more than %d values", name, config.limits.max_values)
        return _unreadable(line[:ENDS], line[-ENDS:], "the answer has too many values")
    try:
        return SessionMessage(_parsed(line))
    except (ValueError, RecursionError):
        _log.debug("%s wrote %d bytes that are no message", name, len(line))
        return _unreadable(line[:ENDS], line[-ENDS:], "the answer cannot be read")


def _parsed(line: bytes) -> JSONRPCMessage:
    try:
        # pydantic's own parser refuses what is nested deeply, and with it all that stands beside it.
        return jsonrpc_message_adapter.validate_python(msgspec.json.decode(line), by_name=False)
    except msgspec.DecodeError:
        # It takes what is not quite JSON, such as NaN.
        return jsonrpc_message_adapter.validate_json(line, by_name=False)


def _unreadable(head: bytes, tail: bytes, problem: str) -> SessionMessage | None:
    """Answer the request that a message was the answer to, if that can be told; it would wait in vain."""
    found = _ID_FIRST.match(head) or _ID_LAST.search(tail)
    if found is None:
        return None
    error = ErrorData(code=INTERNAL_ERROR, message=problem)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


async def _write(process: Process, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with leaving:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async for item in leaving:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                if process.stdin is not None:
                    await process.stdin.send(text.encode(errors="replace") + b"\n")


async def _log_stderr(process: Process, name: str) -> None:
    lines = Lines(_STDERR_CHARACTERS)
    since, count = time.monotonic(), 0
    async for chunk in _chunks(process.stderr):
        for line in lines.feed(chunk):
            if time.monotonic() - since > _STDERR_SPAN_S:
                since, count = time.monotonic(), 0
            count += 1
            if count <= _STDERR_LINES:
                text = line.head if isinstance(line, TooLong) else line
                _log.info("%s: %s", name, _printable(text.decode(errors="replace")))
            elif count == _STDERR_LINES + 1:
                _log.info("%s writes more than is logged", name)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text).rstrip()


async def _stop(process: Process) -> None:
    """End a process and its group: politely, then not."""
    if process.stdin is not None:
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.aclose()
    if not await _exited(process):
        _signal(process, signal.SIGTERM)
        await _exited(process)
    # Also where it ended by itself: what it started may still run.
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    with anyio.move_on_after(_EXIT_S):
        await process.aclose()
    # Its pipes stay open while somebody holds the other end; nothing public closes them.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()
        await anyio.lowlevel.checkpoint()


async def _exited(process: Process, *, within_s: float = _EXIT_S) -> bool:
    # Not `process.wait`, which waits for pipes that a child of the server may hold open.
    with anyio.move_on_after(within_s):
        while process.returncode is None:  # noqa: ASYNC110 - nothing tells of an exit alone
            await anyio.sleep(_POLL_S)
    return process.returncode is not None


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)  # the leader of a group gives it its number
        elif process.returncode is None:
            process.send_signal(number)
