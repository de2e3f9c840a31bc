"""The server that the official conformance suite asks for: its names and texts are the suite's.

Run: python tests/conformance/server.py [PORT]
"""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import Annotated, Any, Literal

import uvicorn
from pydantic import BaseModel, Field

from scopedtools import (
    Audio,
    Catalog,
    Context,
    EmbeddedResource,
    Image,
    PromptMessage,
    ScopedServer,
    Text,
    ToolError,
    View,
    ViewSettings,
    prompt,
    resource,
    tool,
)
from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import InternalError
from scopedtools.protocol.content import ResourceContents
from scopedtools.protocol.inputs import Question
from scopedtools.protocol.results import CallResult

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = (
    b"RIFF\x24\x00\x00\x00WAVEfmt "
    b"\x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
)

EMBEDDED = EmbeddedResource(
    ResourceContents("test://embedded-resource", "text/plain", text="This is an embedded resource content.")
)


class Reply(BaseModel):
    """One answer in words."""

    response: str = Field(description="User's response")


class Defaults(BaseModel):
    """A form whose fields are filled in already."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


class Name(BaseModel):
    """A name."""

    name: str = Field(description="Your name")


class Confirmation(BaseModel):
    """Yes or no."""

    ok: bool


def titled(*names: str) -> list[dict[str, str]]:
    """Return choices with a title each."""
    return [{"const": f"value{number}", "title": name} for number, name in enumerate(names, start=1)]


ENUMS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled("First Option", "Second Option", "Third Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
        },
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": titled("First Choice", "Second Choice", "Third Choice")},
        },
    },
    "required": [],
}


SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class Everything(ScopedServer):
    """Everything that the protocol has, once."""

    def __init__(self) -> None:
        described = Tool(
            name="json_schema_2020_12_tool",
            description="Take what a schema of many keywords describes.",
            input_schema=SCHEMA_2020_12,
            call=self.described,
        )
        super().__init__(
            name="scopedtools-conformance",
            version="1.0",
            sessions=True,
            catalog=Catalog([described]),
            views=ViewSettings(whole_rows=100),
        )
        self.extra_tool = self.extra_prompt = False

    async def described(self, ctx: Context, arguments: bytes) -> CallResult:
        """Repeat the arguments."""
        return CallResult(content=[Text(f"{arguments.decode()} in {ctx.protocol_version}")])

    @tool
    async def test_simple_text(self) -> str:
        """Return a text."""
        return "This is a simple text response for testing."

    @tool
    async def test_image_content(self) -> Image:
        """Return an image."""
        return Image(PNG)

    @tool
    async def test_audio_content(self) -> Audio:
        """Return a sound."""
        return Audio(WAV)

    @tool
    async def test_embedded_resource(self) -> EmbeddedResource:
        """Return a resource with its content."""
        return EMBEDDED

    @tool
    async def test_multiple_content_types(self) -> list[Text | Image | EmbeddedResource]:
        """Return text, image and resource."""
        held = ResourceContents(
            "test://mixed-content-resource", "application/json", text='{"test":"data","value":123}'
        )
        return [Text("Multiple content types test:"), Image(PNG), EmbeddedResource(held)]

    @tool
    async def test_tool_with_logging(self, ctx: Context) -> str:
        """Log while it works."""
        await ctx.log("info", "Tool execution started")
        await asyncio.sleep(0.05)
        await ctx.log("info", "Tool processing data")
        await asyncio.sleep(0.05)
        await ctx.log("info", "Tool execution completed")
        return "Tool with logging executed successfully"

    @tool
    async def test_tool_with_progress(self, ctx: Context) -> str:
        """Report progress while it works."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100, f"Completed step {done} of 100")
            await asyncio.sleep(0.05)
        return "Tool with progress executed successfully"

    @tool
    async def test_error_handling(self) -> str:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @tool
    async def test_sampling(self, prompt: str, ctx: Context) -> str:
        """Have the client's model answer."""
        sampled = await ctx.sample(prompt, max_tokens=100)
        return f"LLM response: {sampled.text}"

    @tool
    async def test_elicitation(self, message: str, ctx: Context) -> str:
        """Ask the user."""
        answer = await ctx.elicit(message, Reply)
        return f"User response: action={answer.action}, content={answer.data}"

    @tool
    async def test_elicitation_sep1034_defaults(self, ctx: Context) -> str:
        """Ask with defaults."""
        answer = await ctx.elicit("Please review and update the form fields with defaults", Defaults)
        return f"Elicitation completed: action={answer.action}, content={answer.data}"

    @tool
    async def test_elicitation_sep1330_enums(self, ctx: Context) -> str:
        """Ask with choices of each sort."""
        answer = await ctx.elicit("Please select options from the enum fields", ENUMS)
        return f"Elicitation completed: action={answer.action}, content={answer.data}"

    @tool
    async def test_reconnection(self, ctx: Context) -> str:
        """Let the connection go and finish afterwards."""
        await ctx.detach()
        await asyncio.sleep(0.1)
        return "Reconnection test completed successfully."

    @tool
    async def test_x_mcp_header(
        self, region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]
    ) -> str:
        """Take an argument that a header mirrors."""
        return f"region={region}"

    @tool
    async def test_missing_capability(self, ctx: Context) -> str:
        """Need a model of the client's."""
        return (await ctx.sample("anything")).text

    @tool
    async def test_streaming_elicitation(self, ctx: Context) -> str:
        """Ask in the middle of a stream."""
        await ctx.report_progress(0, 1)
        answer = await ctx.elicit("Go on?", Confirmation)
        return answer.action

    @tool
    async def test_logging_tool(self, ctx: Context) -> str:
        """Log if that is wanted."""
        await ctx.log("info", "logging")
        return "logged"

    @tool
    async def test_trigger_tool_change(self) -> str:
        """Change the list of tools."""
        self.extra_tool = not self.extra_tool
        await self.lists_changed()
        return "changed"

    @tool
    async def test_trigger_prompt_change(self) -> str:
        """Change the list of prompts."""
        self.extra_prompt = not self.extra_prompt
        await self.lists_changed()
        return "changed"

    @tool(tags={"extra"})
    async def test_extra_tool(self) -> str:
        """Come and go."""
        return "extra"

    @tool
    async def test_input_required_result_elicitation(self, ctx: Context) -> str:
        """Ask for a name."""
        answer = await ctx.elicit("What is your name?", Name, key="user_name")
        return f"Hello, {answer.data.name if answer.data else 'stranger'}!"

    @tool
    async def test_input_required_result_sampling(self, ctx: Context) -> str:
        """Ask the client's model."""
        return (await ctx.sample("What is the capital of France?", key="capital_question")).text

    @tool
    async def test_input_required_result_list_roots(self, ctx: Context) -> str:
        """Ask for the client's folders."""
        return f"{len(await ctx.roots(key='client_roots'))} roots"

    @tool
    async def test_input_required_result_request_state(self, ctx: Context) -> str:
        """Ask for a confirmation and remember the question."""
        await ctx.elicit("Please confirm", Confirmation, key="confirm")
        return "state-ok"

    @tool
    async def test_input_required_result_multiple_inputs(self, ctx: Context) -> str:
        """Ask three things at once."""
        form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        said = {"role": "user", "content": {"type": "text", "text": "Generate a greeting"}}
        answers = await ctx.ask(
            user_name=Question(
                "elicitation/create",
                {"mode": "form", "message": "What is your name?", "requestedSchema": form},
            ),
            greeting=Question("sampling/createMessage", {"messages": [said], "maxTokens": 50}),
            client_roots=Question("roots/list", {}),
        )
        return f"got {', '.join(answers)}"

    @tool
    async def test_input_required_result_multi_round(self, ctx: Context) -> str:
        """Ask twice."""
        first = await ctx.elicit("Step 1: what is your name?", Name, key="step1")
        second = await ctx.elicit(
            "Step 2: what is your colour?",
            {"type": "object", "properties": {"color": {"type": "string"}}},
            key="step2",
        )
        return f"{first.data} and {second.data}"

    @tool
    async def test_input_required_result_tampered_state(self, ctx: Context) -> str:
        """Ask, and notice when the state was changed."""
        await ctx.elicit("Please confirm", Confirmation, key="confirm")
        return "state-ok"

    @tool
    async def test_input_required_result_capabilities(self, ctx: Context) -> str:
        """Ask only for what the client can do."""
        can = ctx.client_capabilities or {}
        questions: dict[str, Question] = {}
        if "elicitation" in can:
            form = {"type": "object", "properties": {"name": {"type": "string"}}}
            questions["user_name"] = Question(
                "elicitation/create", {"mode": "form", "message": "Name?", "requestedSchema": form}
            )
        if "sampling" in can:
            said = {"role": "user", "content": {"type": "text", "text": "Hello"}}
            questions["greeting"] = Question("sampling/createMessage", {"messages": [said], "maxTokens": 50})
        if "roots" in can:
            questions["client_roots"] = Question("roots/list", {})
        answers = await ctx.ask(**questions)
        return f"got {', '.join(answers) or 'nothing'}"

    @tool
    async def greet(self, name: str) -> str:
        """Greet somebody."""
        return f"Hello, {name}!"

    @tool(task="optional")
    async def slow_compute(self, seconds: float, label: str = "") -> str:
        """Compute for some time."""
        await asyncio.sleep(seconds)
        return f"Computed {label} for {seconds} s"

    @tool(task="required")
    async def failing_job(self) -> str:
        """Fail after a while."""
        await asyncio.sleep(1)
        raise ToolError("This job always fails")

    @tool(task="optional")
    async def protocol_error_job(self) -> str:
        """End in an error of the protocol."""
        raise InternalError("This job breaks")

    @tool(task="optional")
    async def confirm_delete(self, filename: str, ctx: Context) -> str:
        """Delete a file if the user agrees."""
        form = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}
        answer = await ctx.elicit(f"Delete {filename}?", form)
        return f"Deleted {filename}" if answer.data and answer.data["confirm"] else "Nothing was deleted"

    @tool(task="optional")
    async def multi_input(self, ctx: Context) -> str:
        """Ask two things at once."""
        form = {"type": "object", "properties": {"name": {"type": "string"}}}
        answers = await ctx.ask(
            first=Question(
                "elicitation/create", {"mode": "form", "message": "First?", "requestedSchema": form}
            ),
            second=Question(
                "elicitation/create", {"mode": "form", "message": "Second?", "requestedSchema": form}
            ),
        )
        return f"got {', '.join(answers)}"

    @tool(task="required", detached=False)
    async def test_tool_with_task(self, ctx: Context) -> str:
        """Ask for a name, then work on it as a task."""
        answer = await ctx.elicit("What is your name?", Name, key="user_name")
        await ctx.detach()
        return f"Hello, {answer.data.name if answer.data else 'stranger'}!"

    @resource("test://static-text", mime_type="text/plain")
    async def static_text(self) -> str:
        """A text."""
        return "This is the content of the static text resource."

    @resource("test://static-binary", mime_type="image/png")
    async def static_binary(self) -> bytes:
        """An image."""
        return PNG

    @resource("test://template/{id}/data", mime_type="application/json")
    async def template_data(self, id: str) -> dict[str, object]:  # noqa: A002 - the suite's name
        """Data by ID."""
        return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}

    @resource("test://watched-resource", mime_type="text/plain")
    async def watched(self) -> str:
        """A text that changes."""
        return "Watched resource content"

    @prompt
    async def test_simple_prompt(self) -> str:
        """Say something simple."""
        return "This is a simple prompt for testing."

    @prompt
    async def test_prompt_with_arguments(self, arg1: str, arg2: str) -> str:
        """Say something about two arguments.

        Args:
            arg1: First test argument.
            arg2: Second test argument.
        """
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @prompt
    async def test_prompt_with_embedded_resource(self, resourceUri: str) -> list[Any]:  # noqa: N803 - the suite's name
        """Say something about a resource.

        Args:
            resourceUri: Of the resource to embed.
        """
        held = ResourceContents(resourceUri, "text/plain", text="Embedded resource content for testing.")
        return [EmbeddedResource(held), "Please process the embedded resource above."]

    @prompt
    async def test_prompt_with_image(self) -> list[Any]:
        """Say something about an image."""
        return [PromptMessage(Image(PNG)), "Please analyze the image above."]

    @prompt
    async def test_input_required_result_prompt(self, ctx: Context) -> str:
        """Ask before it says something."""
        form = {"type": "object", "properties": {"context": {"type": "string"}}}
        answer = await ctx.elicit("What context?", form, key="user_context")
        return f"Context: {answer.data}"

    @prompt(tags={"extra"})
    async def test_extra_prompt(self) -> str:
        """Come and go."""
        return "extra"

    async def permitted(self, ctx: Context, rows: View) -> View:
        """Show what comes and goes only while it is there."""
        extra = rows.tagged("extra")
        if not self.extra_tool:
            rows -= extra.of("tool")
        return rows if self.extra_prompt else rows - extra.of("prompt")


def main() -> None:
    """Serve at the given port."""
    uvicorn.run(
        Everything(),
        host="127.0.0.1",
        port=int(sys.argv[1]) if len(sys.argv) > 1 else 3001,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
