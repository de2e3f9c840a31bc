"""What an author writes: ``@tool``, ``@resource``, ``@prompt`` and ``tools_from``.

A decorator only leaves a note on the function; nothing registers itself. The notes of a class are read
when the class is defined, and its methods are bound when an instance is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar, get_args, overload

from scopedtools.catalog.primitives import Kind, TaskSupport
from scopedtools.catalog.templates import is_template
from scopedtools.exceptions import DefinitionError

F = TypeVar("F", bound=Callable[..., Any])

_NOTE: Final = "__scopedtools__"

Errors: TypeAlias = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a decorator was told; see `tool`, `resource` and `prompt` for the meaning."""

    kind: Kind
    name: str | None = None
    title: str | None = None
    description: str | None = None
    tags: frozenset[str] = frozenset()
    examples: tuple[str, ...] = ()
    pinned: bool = False
    icons: tuple[Mapping[str, Any], ...] = ()
    scopes: frozenset[str] = frozenset()
    requires: tuple[str, ...] = ()
    group: str = ""
    errors: Errors = ()
    annotations: dict[str, Any] = field(default_factory=dict)
    task: TaskSupport = "never"
    detached: bool = True
    uri: str = ""
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Functions that become tools of the class to which the group is assigned."""

    functions: tuple[tuple[Note, Callable[..., Any]], ...]


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    examples: Iterable[str] = (),
    pinned: bool = False,
    icons: Iterable[Mapping[str, Any]] = (),
    scopes: Iterable[str] = (),
    requires: Iterable[str] = (),
    errors: Errors = (),
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    task: TaskSupport = "never",
    detached: bool = True,
) -> Callable[[F], F]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    examples: Iterable[str] = (),
    pinned: bool = False,
    icons: Iterable[Mapping[str, Any]] = (),
    scopes: Iterable[str] = (),
    requires: Iterable[str] = (),
    errors: Errors = (),
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    task: TaskSupport = "never",
    detached: bool = True,
) -> Any:
    """Make a method a tool.

    The signature gives the arguments and their schema, the docstring the description. A method that is
    not a coroutine runs in a worker thread.

    Args:
        function: The method, where the decorator stands without parentheses.
        name: What the model calls it by; the method's name by default.
        title: Name for people.
        description: Instead of the docstring's.
        tags: Words to group tools by, for `View.tagged`.
        examples: Requests that it serves, in users' words; they help selection.
        pinned: Show it in every context.
        icons: Images for people, each a mapping with a ``src``.
        scopes: OAuth scopes that a caller needs, all of them, to see and call it. Over HTTP, where there is
            no authorization, nobody has any; over stdio the caller is the user who started the server, and
            they do not apply.
        requires: Names of the tools that must be called before it, such as the one that finds the ID that it
            takes; where it is shown or found, so are they.
        errors: Exceptions whose message the model may read, besides `ToolError`.
        read_only: It changes nothing.
        destructive: It may delete or overwrite.
        idempotent: Calling it again with the same arguments changes nothing more.
        open_world: It reaches beyond this server.
        task: Whether a call is answered with a task, which the client polls, instead of being waited for:
            ``optional`` where the client can follow tasks, ``required`` to refuse clients that cannot.
            Cancelling a task cancels the coroutine; a thread runs on, and what it returns is dropped.
        detached: Whether a call that may be a task is one from its start. Without, it becomes one at
            `Context.detach`: the client waits for what comes before, and questions are asked there and then.
    """
    if task not in get_args(TaskSupport):
        raise DefinitionError(f"task must be one of {', '.join(get_args(TaskSupport))}, got {task!r}")
    hints = {
        "readOnlyHint": read_only,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": open_world,
    }
    note = Note(
        kind="tool",
        name=name,
        title=title,
        description=description,
        tags=frozenset(_several("tags", tags)),
        examples=_several("examples", examples),
        pinned=pinned,
        icons=tuple(icons),
        scopes=frozenset(_several("scopes", scopes)),
        requires=_several("requires", requires),
        errors=_exceptions(errors),
        annotations={hint: value for hint, value in hints.items() if value is not None},
        task=task,
        detached=detached,
    )
    return _noting(note) if function is None else _noting(note)(function)


def resource(
    uri: str,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    tags: Iterable[str] = (),
    examples: Iterable[str] = (),
    pinned: bool = False,
    icons: Iterable[Mapping[str, Any]] = (),
    scopes: Iterable[str] = (),
    errors: Errors = (),
) -> Callable[[F], F]:
    """Make a method a resource, or a template where the URI has ``{variables}``.

    The method's parameters are the variables. It returns text, bytes, or anything that JSON can hold.

    Args:
        uri: Absolute URI; ``{name}`` stands for one segment, ``{+name}`` for any rest.
        name: Its name; the method's by default.
        title: Name for people.
        description: Instead of the docstring's.
        mime_type: Of what it returns.
        tags: Words to group by.
        examples: Requests that it serves, in users' words.
        pinned: Show it in every context.
        icons: Images for people, each a mapping with a ``src``.
        scopes: OAuth scopes that a caller needs, as in `tool`.
        errors: Exceptions whose message the client may read, besides `ToolError`.
    """
    return _noting(
        Note(
            kind="template" if is_template(uri) else "resource",
            name=name,
            title=title,
            description=description,
            tags=frozenset(_several("tags", tags)),
            examples=_several("examples", examples),
            pinned=pinned,
            icons=tuple(icons),
            scopes=frozenset(_several("scopes", scopes)),
            errors=_exceptions(errors),
            uri=uri,
            mime_type=mime_type,
        )
    )


@overload
def prompt(function: F, /) -> F: ...


@overload
def prompt(
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    examples: Iterable[str] = (),
    pinned: bool = False,
    icons: Iterable[Mapping[str, Any]] = (),
    scopes: Iterable[str] = (),
) -> Callable[[F], F]: ...


def prompt(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    examples: Iterable[str] = (),
    pinned: bool = False,
    icons: Iterable[Mapping[str, Any]] = (),
    scopes: Iterable[str] = (),
) -> Any:
    """Make a method a prompt. Its parameters are the arguments; it returns text or messages.

    Args:
        function: The method, where the decorator stands without parentheses.
        name: Its name; the method's by default.
        title: Name for people.
        description: Instead of the docstring's.
        tags: Words to group by.
        examples: Requests that it serves, in users' words.
        pinned: Show it in every context.
        icons: Images for people, each a mapping with a ``src``.
        scopes: OAuth scopes that a caller needs, as in `tool`.
    """
    note = Note(
        kind="prompt",
        name=name,
        title=title,
        description=description,
        tags=frozenset(_several("tags", tags)),
        examples=_several("examples", examples),
        pinned=pinned,
        icons=tuple(icons),
        scopes=frozenset(_several("scopes", scopes)),
    )
    return _noting(note) if function is None else _noting(note)(function)


def tools_from(
    source: ModuleType | Iterable[Callable[..., Any]],
    *,
    prefix: str = "",
    tags: Iterable[str] = (),
    scopes: Iterable[str] = (),
    errors: Errors = (),
    read_only: bool | None = None,
) -> Group:
    """Turn plain functions into tools, to be assigned in the body of a server class.

    ::

        class Workbench(ScopedServer):
            dates = tools_from(dates, tags={"dates"}, errors=(ValueError,), read_only=True)

    Args:
        source: A module, of which every public function defined in it is taken, in order; or functions.
        prefix: Put before each name.
        tags: Added to each tool's own.
        scopes: OAuth scopes that a caller needs, besides each tool's own.
        errors: Exceptions whose message the model may read, besides each tool's own.
        read_only: They change nothing; a function's own `tool` decorator has precedence.
    """
    functions = _functions(source) if isinstance(source, ModuleType) else tuple(source)
    shared = Note(
        kind="tool",
        name=prefix,
        tags=frozenset(_several("tags", tags)),
        scopes=frozenset(_several("scopes", scopes)),
        errors=_exceptions(errors),
        annotations={} if read_only is None else {"readOnlyHint": read_only},
    )
    notes = tuple(_joined(shared, one) for one in functions)
    new = {str(note.name).removeprefix(prefix): str(note.name) for note in notes}
    # Tools of one group name each other as they stand there, without the prefix.
    required = (tuple(new.get(name, name) for name in note.requires) for note in notes)
    its = (replace(note, requires=names) for note, names in zip(notes, required, strict=True))
    return Group(tuple(zip(its, functions, strict=True)))


def declarations(owner: type) -> Iterator[tuple[str, Note, Callable[..., Any], bool]]:
    """Yield what a class and its bases declare: attribute, note, function, and whether it is a method.

    Bases come first. An attribute that a subclass overrides keeps its place and its note, unless the
    subclass decorates it anew; one that it sets to ``None`` is gone.
    """
    notes: dict[str, Note | Group] = {}
    for cls in reversed(owner.__mro__):
        for attribute, value in vars(cls).items():
            # A static or class method hides the function, and the note, that it wraps.
            function = getattr(value, "__func__", value)
            note = value if isinstance(value, Group) else getattr(function, _NOTE, None)
            if note is not None:
                notes[attribute] = note
    for attribute, note in notes.items():
        value = inspect.getattr_static(owner, attribute)
        if isinstance(note, Group):
            group = value if isinstance(value, Group) else Group(())
            for its, one in group.functions:
                yield one.__name__, replace(its, group=attribute), one, False
        elif value is not None:
            if not inspect.isfunction(value):
                raise DefinitionError(
                    f"{owner.__name__}.{attribute} is a {note.kind}; make it a method, got {value!r}"
                )
            yield attribute, note, value, True


def _noting(note: Note) -> Callable[[F], F]:
    def leave(function: F) -> F:
        if not inspect.isfunction(function):
            raise DefinitionError(f"@{note.kind} decorates a function, got {function!r}")
        setattr(function, _NOTE, note)
        return function

    return leave


def _functions(module: ModuleType) -> tuple[Callable[..., Any], ...]:
    found = tuple(
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    )
    if not found:
        raise DefinitionError(
            f"module {module.__name__!r} defines no public function; nothing to make tools of"
        )
    return found


def _joined(shared: Note, function: Callable[..., Any]) -> Note:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise DefinitionError(f"tools_from takes functions, got {function!r}")
    own: Note = getattr(function, _NOTE, None) or Note(kind="tool")
    return replace(
        own,
        name=f"{shared.name}{own.name or function.__name__}",
        tags=own.tags | shared.tags,
        scopes=own.scopes | shared.scopes,
        errors=own.errors + shared.errors,
        annotations=shared.annotations | own.annotations,
    )


def _several(option: str, values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise DefinitionError(f"{option} takes several texts, got one; write ({values!r},)")
    return tuple(values)


def _exceptions(errors: Errors) -> Errors:
    if not isinstance(errors, tuple):
        raise DefinitionError(f"errors takes a tuple of exceptions, got {errors!r}; put it in parentheses")
    return errors
