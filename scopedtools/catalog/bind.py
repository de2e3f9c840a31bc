"""From declarations to rows: read each once when the class is defined, bind it when an instance is made."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio.to_thread

from scopedtools.catalog.convert import Output, contents, messages, read_output, text_result
from scopedtools.catalog.declare import Errors, Note, declarations
from scopedtools.catalog.primitives import Primitive, Prompt, PromptArgument, Resource, ResourceTemplate, Tool
from scopedtools.catalog.signature import Signature, read_signature
from scopedtools.catalog.templates import UriTemplate, require_uri
from scopedtools.exceptions import DefinitionError, InvalidParamsError, ProtocolError, ToolError
from scopedtools.protocol.content import PromptMessage, ResourceContents
from scopedtools.protocol.inputs import asked_in
from scopedtools.protocol.mirrors import mirrored_parameters
from scopedtools.protocol.results import CallResult

_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,64}")


@dataclass(frozen=True, slots=True)
class Declared:
    """A method, or a function, that was read and found right.

    Attributes:
        note: What its decorator was told.
        name: What clients call it.
        signature: What it takes.
        output: How its return value goes out.
        function: The function itself.
        method: Whether it takes ``self``.
    """

    note: Note
    name: str
    signature: Signature
    output: Output
    function: Callable[..., Any]
    method: bool

    def bind(self, owner: object) -> Primitive:
        """Make the row for one instance."""
        function = partial(self.function, owner) if self.method else self.function
        is_async = inspect.iscoroutinefunction(self.function)
        detached = self.note.task != "never" and self.note.detached
        return _ROWS[self.note.kind](self, Run(self.signature, function, is_async, detached))


@dataclass(frozen=True, slots=True)
class Run:
    """Calls an author's function with what a client sent."""

    signature: Signature
    function: Callable[..., Any]
    is_async: bool
    detached: bool = False

    async def __call__(self, ctx: Any, raw: bytes | Mapping[str, str]) -> Any:
        arguments = self.signature.arguments(raw)
        if self.signature.context is not None:
            arguments[self.signature.context] = ctx
        if self.detached and ctx.follows_tasks:
            await ctx.detach()
        try:
            if self.is_async:
                return await self.function(**arguments)
            value = await anyio.to_thread.run_sync(partial(self.function, **arguments))
            # A coroutine that is wrapped by a decorator does not look like one.
            return await value if inspect.isawaitable(value) else value
        except BaseExceptionGroup as group:
            # Of a task group: what is meant for the client stands somewhere in it.
            if (meant := asked_in(group) or _meant(group)) is None:
                raise
            raise meant from group
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the call: it waited for something that its author cancelled.
            raise RuntimeError("an author's function waited for what was cancelled") from error
        except SystemExit as error:
            # It would end the server, and everybody else's work with it.
            raise RuntimeError(f"an author's function ended with {error!r}") from error


def _meant(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_meant, error.exceptions)), None)
    return error if isinstance(error, ToolError | ProtocolError) else None


def read_declarations(owner: type, *, inject: type) -> tuple[Declared, ...]:
    """Read everything that a class declares, bases first.

    Args:
        owner: The author's class.
        inject: A parameter annotated with this class takes the context.

    Raises:
        DefinitionError: Something is declared wrongly; the message names the class and the method.
    """
    declared = tuple(
        _read(owner, attribute, note, function, method=method, inject=inject)
        for attribute, note, function, method in declarations(owner)
    )
    _require_distinct(declared)
    return declared


def require_visible(owner: type, base: type) -> None:
    """Refuse a declared method that hides one which the base class itself needs.

    Raises:
        DefinitionError: There is one; the message says what to write instead.
    """
    own = {attribute for attribute, *_ in declarations(base)}
    for attribute, note, _, method in declarations(owner):
        if method and attribute not in own and hasattr(base, attribute):
            raise DefinitionError(
                f"{owner.__name__}.{attribute} hides {base.__name__}.{attribute}; name the method otherwise, "
                f"and the {note.kind} by @{note.kind}(name={note.name or attribute!r})"
            )


def _read(
    owner: type, attribute: str, note: Note, function: Callable[..., Any], *, method: bool, inject: type
) -> Declared:
    where = f"{owner.__name__}.{attribute}" if method else f"{function.__module__}.{attribute}"
    signature = read_signature(function, where=where, inject=inject, method=method)
    if not (note.description or signature.description):
        raise DefinitionError(
            f"{where} has no docstring; say what it does, models and the index choose by it"
        )
    name = note.name or attribute
    if note.kind == "tool" and not _TOOL_NAME.fullmatch(name):
        raise DefinitionError(f"{where}: {name!r} is no tool name; use 1 to 64 of A-Z a-z 0-9 _ . / -")
    if note.kind in ("resource", "template"):
        _require_variables(where, note.uri, signature)
    if note.kind == "tool":
        mirrored_parameters(signature.schema, where=where)
    output = read_output(signature.returns, where=where) if note.kind == "tool" else Output()
    return Declared(note, name, signature, output, function, method)


def _require_variables(where: str, uri: str, signature: Signature) -> None:
    try:
        require_uri(uri)
        variables = set(UriTemplate(uri).names)
    except DefinitionError as error:
        raise DefinitionError(f"{where}: {error}") from error
    if missing := variables - set(signature.parameters):
        raise DefinitionError(
            f"{where}: {uri!r} has {sorted(missing)}, which the method does not take; add them"
        )
    if unbound := signature.required - variables:
        raise DefinitionError(f"{where}: {sorted(unbound)} cannot be found in {uri!r}; add them to the URI")


def _require_distinct(declared: tuple[Declared, ...]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in declared:
        key = one.note.kind, one.note.uri or one.name
        if key in seen:
            raise DefinitionError(
                f"{one.signature.where} and {seen[key]} are both the {key[0]} {key[1]!r}; rename one of them"
            )
        seen[key] = one.signature.where


def _common(declared: Declared) -> dict[str, Any]:
    note = declared.note
    return {
        "name": declared.name,
        "title": note.title,
        "description": note.description or declared.signature.description,
        "tags": note.tags,
        "examples": note.examples,
        "pinned": note.pinned,
        "icons": note.icons,
        "scopes": note.scopes,
        "group": note.group,
        "requires": note.requires,
    }


def _tool(declared: Declared, run: Run) -> Tool:
    readable: Errors = (ToolError, *declared.note.errors)

    async def call(ctx: Any, raw: bytes) -> CallResult:
        try:
            value = await run(ctx, raw)
        except readable as error:
            return text_result(str(error) or type(error).__name__, is_error=True)
        return declared.output.result(value)

    return Tool(
        **_common(declared),
        input_schema=declared.signature.schema,
        output_schema=declared.output.schema,
        annotations=declared.note.annotations,
        call=call,
        task=declared.note.task,
    )


def _reader(
    declared: Declared, run: Run
) -> Callable[[Any, str, Mapping[str, str]], Awaitable[list[ResourceContents]]]:
    readable: Errors = (ToolError, *declared.note.errors)

    async def read(ctx: Any, uri: str, variables: Mapping[str, str]) -> list[ResourceContents]:
        try:
            value = await run(ctx, variables)
        except readable as error:
            raise InvalidParamsError(f"Cannot read {uri!r}: {error}", data={"uri": uri}) from error
        return contents(value, uri=uri, mime_type=declared.note.mime_type)

    return read


def _resource(declared: Declared, run: Run) -> Resource:
    note = declared.note
    return Resource(**_common(declared), uri=note.uri, mime_type=note.mime_type, read=_reader(declared, run))


def _template(declared: Declared, run: Run) -> ResourceTemplate:
    note = declared.note
    return ResourceTemplate(
        **_common(declared), uri_template=note.uri, mime_type=note.mime_type, read=_reader(declared, run)
    )


def _prompt(declared: Declared, run: Run) -> Prompt:
    signature = declared.signature

    async def get(ctx: Any, arguments: Mapping[str, str]) -> list[PromptMessage]:
        try:
            return messages(await run(ctx, arguments))
        except ToolError as error:
            raise InvalidParamsError(str(error)) from error

    required = signature.schema.get("required", ())
    arguments = tuple(
        PromptArgument(
            name, schema.get("description", ""), name in required, tuple(map(str, schema.get("enum", ())))
        )
        for name, schema in signature.schema["properties"].items()
    )
    return Prompt(**_common(declared), arguments=arguments, get=get)


_ROWS: Final[Mapping[str, Callable[[Declared, Run], Primitive]]] = {
    "tool": _tool,
    "resource": _resource,
    "template": _template,
    "prompt": _prompt,
}
