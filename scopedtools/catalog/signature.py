"""From a Python signature and docstring to JSON Schema, and from JSON arguments to a call."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined, SchemaError

from scopedtools.exceptions import DefinitionError, ToolError

_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CompactJsonSchema(GenerateJsonSchema):
    """JSON Schema 2020-12 without the titles that repeat a field's name: the model pays for each token."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - asked for each field
        return False


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and says of itself.

    Attributes:
        where: Class and method, for messages.
        description: From the docstring, without the sections on parameters and results.
        parameters: Names, in order, without ``self`` and the context.
        required: Those that have no default.
        schema: JSON Schema of the arguments, an object.
        returns: Return annotation, or `inspect.Signature.empty`.
        context: Name of the parameter that takes the context, or ``None``.
        model: Validates arguments; its fields stand in the order of ``parameters``.
    """

    where: str
    description: str
    parameters: tuple[str, ...]
    required: frozenset[str]
    schema: dict[str, Any]
    returns: Any
    context: str | None
    model: type[BaseModel]

    def arguments(self, raw: bytes | Mapping[str, Any]) -> dict[str, Any]:
        """Validate arguments and convert them to what the function is annotated with.

        Args:
            raw: A JSON object as bytes, or a mapping of texts, such as the variables of a URI.

        Raises:
            ToolError: They do not fit; the message names each argument that does not.
        """
        validate = self.model.model_validate_json if isinstance(raw, bytes) else self.model.model_validate
        try:
            values = validate(raw)  # type: ignore[arg-type] # the overload is chosen by the line above
        except ValidationError as error:
            raise ToolError(_explain(error)) from error
        return {
            parameter: getattr(values, field)
            for parameter, field in zip(self.parameters, type(values).model_fields, strict=True)
            if field in values.model_fields_set or parameter in self.required
        }


def read_signature(function: Callable[..., Any], *, where: str, inject: type, method: bool) -> Signature:
    """Read a function.

    Args:
        function: The author's function or method.
        where: Class and method, for messages.
        inject: A parameter annotated with this class takes the context and is hidden from clients.
        method: Whether the first parameter is ``self``.

    Raises:
        DefinitionError: A parameter has no annotation, or one that no JSON value can meet.
    """
    hints = _hints(function, where)
    parameters = list(inspect.signature(function).parameters.values())
    if method and not (parameters and parameters[0].kind in _POSITIONAL):
        raise DefinitionError(f"{where} takes no 'self'; a method's first parameter is the server")
    parameters = parameters[1 if method else 0 :]
    contexts = [parameter.name for parameter in parameters if hints.get(parameter.name) is inject]
    if len(contexts) > 1:
        raise DefinitionError(f"{where}: {' and '.join(contexts)} both take the context; keep one")
    public = [parameter for parameter in parameters if parameter.name not in contexts]
    documented = docstring_parser.parse(inspect.getdoc(function) or "")
    descriptions = {item.arg_name: item.description or "" for item in documented.params}
    model = _model(where, public, hints, descriptions)
    return Signature(
        where=where,
        description=_join(documented.short_description, documented.long_description),
        parameters=tuple(parameter.name for parameter in public),
        required=frozenset(name.name for name in public if name.default is name.empty),
        schema=_schema(where, model),
        returns=hints.get("return", inspect.Signature.empty),
        context=contexts[0] if contexts else None,
        model=model,
    )


def strip_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """Take out the class names that stand as titles of a schema and of its definitions."""
    schema.pop("title", None)
    for definition in schema.get("$defs", {}).values():
        definition.pop("title", None)
    return schema


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"{where}: {error}; import it where the module runs, not only for type checkers, "
            "and define the types of parameters at module level"
        ) from error
    except (TypeError, AttributeError, SyntaxError) as error:
        raise DefinitionError(f"{where}: {error}") from error


def _model(
    where: str,
    parameters: Iterable[inspect.Parameter],
    hints: Mapping[str, Any],
    described: Mapping[str, str],
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for position, parameter in enumerate(parameters):
        if parameter.kind not in _NAMED:
            raise DefinitionError(f"{where}: {parameter} cannot be passed by name; give each argument a name")
        if parameter.name not in hints:
            raise DefinitionError(
                f"{where}: parameter {parameter.name!r} has no annotation; write {parameter.name}: str, "
                "or the type that it takes"
            )
        # Fields are numbered and aliased, so that an author may call a parameter "schema" or "_x".
        fields[f"p{position}"] = hints[parameter.name], _field(where, parameter, hints, described)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    try:
        return create_model("Arguments", __config__=config, **fields)
    except (PydanticSchemaGenerationError, PydanticUserError, SchemaError, TypeError) as error:
        raise DefinitionError(f"{where}: {error}") from error


def _field(
    where: str, parameter: inspect.Parameter, hints: Mapping[str, Any], described: Mapping[str, str]
) -> FieldInfo:
    default = PydanticUndefined if parameter.default is parameter.empty else parameter.default
    if isinstance(default, FieldInfo):
        raise DefinitionError(
            f"{where}: parameter {parameter.name!r} has a Field as its default; "
            "write Annotated[..., Field(...)]"
        )
    text = " ".join(described.get(parameter.name, "").split())
    # What the annotation says of itself is nearer to the type than the docstring, and stands.
    own = getattr(hints[parameter.name], "__metadata__", ())
    says = any(isinstance(one, FieldInfo) and one.description for one in own)
    described_here = {"description": text} if text and not says else {}
    field: FieldInfo = Field(default=default, alias=parameter.name, **described_here)  # type: ignore[call-overload]
    return field


def _schema(where: str, model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema = model.model_json_schema(schema_generator=CompactJsonSchema)
    except PydanticUserError as error:
        raise DefinitionError(f"{where}: {error}") from error
    return strip_titles(schema)


def _explain(error: ValidationError) -> str:
    lines = ["The arguments do not fit:"]
    for problem in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"]) or "arguments"
        lines.append(f"- {place}: {problem['msg']}, got {_short(problem['input'])}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _join(*paragraphs: str | None) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
