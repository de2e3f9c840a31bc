"""An ERP: well over a hundred tools for its records, and one order form for each unit of work.

The form is a session at the ERP, as in the screens of such systems: it is opened, filled in field by field,
checked and submitted. Models do several of these steps at once, often before anything else, so whichever
call comes first has to open the form, once. A draft is kept beside it in ``ctx.state``: where the form is
closed because nobody used it for a while, or the process has gone, the next call goes on from the draft.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from examples.erp.entities import OrderLine, SalesOrder
from examples.erp.records import Database, Stored
from scopedtools import Context, ContextLocal, ScopedServer, ToolError, tool, tools_from
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.hashing import HashingEncoder

FieldName = Literal["customer", "delivery_date", "reference"]

DRAFT = "draft"
"""Name of the draft in the state of a context."""

DATABASE = Database()


@dataclass
class Draft:
    """What was filled in so far; all of a form that is worth keeping."""

    fields: dict[FieldName, str] = field(default_factory=dict)
    lines: list[OrderLine] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Say what is missing or wrong."""
        found = [f"{name} is missing" for name in ("customer", "delivery_date") if not self.fields.get(name)]
        return found if self.lines else [*found, "there is no line"]


@dataclass(frozen=True)
class FormView:
    form: int
    fields: dict[FieldName, str]
    lines: list[OrderLine]
    problems: list[str]


class Form:
    """A form that is open at the ERP.

    Attributes:
        number: Of the form, counted by the ERP.
        draft: What is filled in.
        changing: Held while the form is changed, since calls arrive side by side.
        is_over: It was submitted or discarded.
    """

    def __init__(self, number: int, draft: Draft) -> None:
        self.number = number
        self.draft = draft
        self.changing = asyncio.Lock()
        self.is_over = False

    def view(self) -> FormView:
        """Return what the model is told."""
        return FormView(self.number, self.draft.fields, self.draft.lines, self.draft.problems())


class Erp(ScopedServer):
    """Look up and change business records. Enter a sales order with the order form."""

    records = tools_from(DATABASE.tools(), tags={"records"})

    def __init__(self, *, form_ttl_s: float = 1800, **options: Any) -> None:
        super().__init__(name="erp", selector=HybridSelector(HashingEncoder()), **options)
        self.forms = ContextLocal(self.open_at_erp, ttl_s=form_ttl_s)
        self.opened = 0

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Let forms be opened while the server runs, and close them with it."""
        async with self.forms:
            yield

    @asynccontextmanager
    async def open_at_erp(self, ctx: Context) -> AsyncIterator[Form]:
        """Open the form of a unit of work where its draft, if there is one, stands."""
        self.opened += 1
        number = self.opened
        await asyncio.sleep(0.01)  # an ERP takes its time, and all calls of a first batch wait for it
        yield Form(number, await ctx.state.get(DRAFT, Draft(), type=Draft))

    @asynccontextmanager
    async def changing(self, ctx: Context) -> AsyncIterator[Form]:
        """Hold the form of a unit of work while it is changed, and keep its draft afterwards."""
        async with self.forms.use(ctx) as form, form.changing:
            if form.is_over:  # by a call that came side by side with this one
                raise ToolError(
                    f"form {form.number} was submitted or discarded meanwhile: look at the next one"
                )
            yield form
            if not form.is_over:
                await ctx.state.set(DRAFT, form.draft)

    @tool(tags={"form"}, pinned=True, read_only=True)
    async def show_form(self, ctx: Context) -> FormView:
        """Show the order form as it is filled in so far, and what is still missing."""
        async with self.forms.use(ctx) as form:
            return form.view()

    @tool(tags={"form"}, pinned=True)
    async def set_field(self, name: FieldName, value: str, ctx: Context) -> FormView:
        """Fill in a field of the order form.

        Args:
            name: Of the field.
            value: What to fill in; a delivery date is written as 2026-07-28.
        """
        if name == "delivery_date":
            _require_date(value)
        async with self.changing(ctx) as form:
            form.draft.fields[name] = value
            return form.view()

    @tool(tags={"form"}, pinned=True)
    async def add_line(
        self, product: str, quantity: Annotated[int, Field(ge=1)], price: float, ctx: Context
    ) -> FormView:
        """Add a line to the order form.

        Args:
            product: Name of the product.
            quantity: How many.
            price: Of one.
        """
        async with self.changing(ctx) as form:
            form.draft.lines.append(OrderLine(product, quantity, price))
            return form.view()

    @tool(tags={"form"}, pinned=True)
    async def submit_form(self, ctx: Context) -> Stored:
        """Submit the order form. It becomes a sales order, and the form is empty again."""
        async with self.changing(ctx) as form:
            if problems := form.draft.problems():
                raise ToolError(f"the form is not complete: {', '.join(problems)}")
            order = SalesOrder(lines=tuple(form.draft.lines), **form.draft.fields)
            await self.end(form, ctx)
            return DATABASE.of(SalesOrder).add(order)

    @tool(tags={"form"}, pinned=True, destructive=True)
    async def discard_form(self, ctx: Context) -> str:
        """Throw away what is filled in."""
        async with self.changing(ctx) as form:
            await self.end(form, ctx)
            return f"Discarded form {form.number}."

    async def end(self, form: Form, ctx: Context) -> None:
        """Forget the draft, and close the form when its last use ends."""
        form.is_over = True
        await ctx.state.delete(DRAFT)
        await self.forms.discard(ctx)


def _require_date(value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise ToolError(f"delivery_date must be written as 2026-07-28, got {value!r}") from error


app = Erp()
