"""The servers that the official clients call: enough tools that a list of them all is too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scopedtools import (
    Context,
    ScopedServer,
    ToolError,
    View,
    ViewSettings,
    prompt,
    resource,
    tool,
    tools_from,
)
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.selector import HybridSelector

INVOICES = (
    ("create_invoice", "Create an invoice for a customer."),
    ("send_invoice", "Send an invoice to a customer by email."),
    ("cancel_invoice", "Cancel an invoice that is not paid yet."),
    ("list_unpaid_invoices", "List invoices whose payment is late."),
    ("record_payment", "Record the payment of an invoice."),
    ("refund_payment", "Refund the payment of an invoice to the customer."),
    ("send_payment_reminder", "Remind a customer of an unpaid invoice."),
    ("apply_discount", "Apply a discount to an invoice."),
    ("export_ledger", "Export the ledger of all invoices and payments."),
    ("calculate_tax", "Calculate the tax on an invoice."),
)
CALENDAR = (
    ("create_event", "Create an event in the calendar."),
    ("move_event", "Move an event of the calendar to another time."),
    ("delete_event", "Delete an event from the calendar."),
    ("list_events", "List the events of a day of the calendar."),
    ("find_free_slot", "Find a free slot in the calendars of several people."),
    ("invite_attendee", "Invite an attendee to an event."),
    ("book_meeting_room", "Book a meeting room for an event."),
    ("set_reminder", "Set a reminder before an event."),
    ("share_calendar", "Share a calendar with a colleague."),
    ("set_working_hours", "Set the working hours that a calendar shows."),
)
TRAVEL = (
    ("search_flights", "Search flights between two airports."),
    ("book_flight", "Book a flight for a traveller."),
    ("cancel_flight", "Cancel a booked flight."),
    ("search_hotels", "Search hotels in a city."),
    ("book_hotel", "Book a hotel room for a traveller."),
    ("rent_car", "Rent a car at an airport."),
    ("check_visa", "Check whether a traveller needs a visa for a country."),
    ("plan_itinerary", "Plan the itinerary of a trip to several cities."),
    ("convert_currency", "Convert travel money into the currency of a country."),
    ("get_travel_advice", "Get the travel advice for a country."),
)
MAIL = (
    ("read_inbox", "Read the newest messages of the inbox."),
    ("search_messages", "Search messages by words, sender or date."),
    ("send_message", "Send a message to a recipient."),
    ("reply_to_message", "Reply to the sender of a message."),
    ("forward_message", "Forward a message to another recipient."),
    ("archive_message", "Archive a message."),
    ("label_message", "Put a label on a message."),
    ("block_sender", "Block the messages of a sender."),
    ("create_mail_filter", "Create a filter that sorts new messages."),
    ("set_out_of_office", "Set the reply that is sent while out of office."),
)
FILES = (
    ("list_folder", "List the files of a folder."),
    ("read_document", "Read the text of a document."),
    ("write_document", "Write the text of a document."),
    ("rename_file", "Rename a file."),
    ("delete_file", "Delete a file for good."),
    ("share_file", "Share a file by a link."),
    ("compress_folder", "Compress a folder into an archive."),
    ("scan_document", "Scan a paper document into a file."),
    ("translate_document", "Translate a document into another language."),
    ("compare_documents", "Compare two versions of a document."),
)
STAFF = (
    ("find_employee", "Find an employee by name or team."),
    ("hire_employee", "Add a new employee to a team."),
    ("request_leave", "Request days of leave for an employee."),
    ("approve_leave", "Approve the leave that an employee asked for."),
    ("report_sickness", "Report an employee sick."),
    ("list_team", "List the employees of a team."),
    ("set_salary", "Set the salary of an employee."),
    ("run_payroll", "Run the payroll of a month."),
    ("schedule_interview", "Schedule an interview with an applicant."),
    ("rate_applicant", "Rate an applicant after an interview."),
)


@dataclass
class Receipt:
    """What was done, and with what."""

    tool: str
    subject: str


@dataclass
class Meal:
    """When to eat."""

    time: str


def _function(name: str, description: str) -> Callable[..., Receipt]:
    def run(subject: str, note: str = "") -> Receipt:
        return Receipt(name, subject)

    run.__name__ = name
    run.__doc__ = (
        f"{description}\n\nArgs:\n    subject: Whom or what it is about.\n    note: A remark to keep."
    )
    return run


def _functions(table: Sequence[tuple[str, str]]) -> list[Callable[..., Receipt]]:
    return [_function(name, description) for name, description in table]


class Office(ScopedServer):
    """Runs a small office."""

    invoices = tools_from(_functions(INVOICES), tags={"invoices"})
    calendar = tools_from(_functions(CALENDAR), tags={"calendar"})
    travel = tools_from(_functions(TRAVEL), tags={"travel"})
    mail = tools_from(_functions(MAIL), tags={"mail"})
    files = tools_from(_functions(FILES), tags={"files"})
    staff = tools_from(_functions(STAFF), tags={"staff"})

    def __init__(self, *, sessions: bool = False) -> None:
        super().__init__(
            name="office",
            version="1.0",
            sessions=sessions,
            selector=HybridSelector(HashingEncoder()),
            # So that the whole list takes three pages.
            views=ViewSettings(page_rows=25),
        )
        self._tables: dict[str, asyncio.Event] = {}

    @tool(tags={"cash"}, read_only=True)
    async def count_cash(self, coins: int, notes: int = 0) -> dict[str, int]:
        """Count the cash in the box."""
        return {"total": coins + notes}

    @tool(tags={"cash"})
    async def take_cash(self, amount: int) -> str:
        """Take cash out of the box."""
        raise ToolError(f"the box holds less than {amount}; count_cash tells how much")

    @tool(tags={"kitchen"})
    async def invite_guest(self, guest: str, ctx: Context) -> str:
        """Invite a guest for lunch, in words that the client's model finds."""
        answer = await ctx.elicit(f"When shall {guest} come?", Meal)
        if answer.data is None:
            return f"{answer.action}, so {guest} stays at home"
        letter = await ctx.sample(f"Invite {guest} for {answer.data.time}.", max_tokens=50)
        return f"{guest} reads: {letter.text}"

    @tool(tags={"kitchen"})
    async def bake_bread(self, ctx: Context) -> str:
        """Bake a bread, and tell of it."""
        await ctx.report_progress(1, 2, "in the oven")
        await ctx.log("info", "it smells good")
        await ctx.log("warning", {"oven": "hot"}, logger="kitchen")
        await ctx.report_progress(2, 2)
        # A client that gets the result in one piece with what came before may forget to look at the latter.
        await asyncio.sleep(0.05)
        return "bread"

    @tool(tags={"kitchen"})
    async def keep_table(self, name: str, ctx: Context) -> str:
        """Keep a table until nobody wants it any longer."""
        given_up = self._tables[name] = asyncio.Event()
        try:
            await ctx.report_progress(1)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.set()
            raise
        return "nobody came"

    @tool(tags={"kitchen"})
    async def is_table_free(self, name: str) -> bool:
        """Tell whether a table was kept, and then was given up."""
        try:
            await asyncio.wait_for(self._tables[name].wait(), 5)
        except TimeoutError:
            return False
        return True

    @resource("office://handbook", mime_type="text/markdown")
    async def handbook(self) -> str:
        """The rules of the house."""
        return "# Handbook\n\nWater the plants: 植物."

    @resource("office://logo", mime_type="image/png")
    async def logo(self) -> bytes:
        """The logo, as a picture."""
        return b"\x89PNG\r\n\x1a\n"

    @resource("office://rooms/{room}", mime_type="application/json")
    async def room(self, room: str) -> dict[str, str]:
        """A room of the office."""
        return {"room": room}

    @prompt
    async def summarize(self) -> str:
        """Ask for a summary of the day."""
        return "Summarize what happened today."

    @prompt(title="Plan a day")
    async def plan_day(self, day: str, mood: str = "calm") -> list[str]:
        """Ask for a plan of a day.

        Args:
            day: The day to plan.
            mood: How the day should feel.
        """
        return [f"Plan {day}.", f"Keep it {mood}."]


class Vault(Office):
    """Runs a small office that has a vault, and remembers its clients."""

    def __init__(self) -> None:
        super().__init__(sessions=True)
        self._is_open = False

    @tool(tags={"cash"})
    async def turn_key(self) -> str:
        """Open the vault, or close it."""
        self._is_open = not self._is_open
        await self.lists_changed()
        return "open" if self._is_open else "closed"

    @tool(tags={"vault"})
    async def count_gold(self) -> int:
        """Count the gold in the vault."""
        return 8

    async def permitted(self, ctx: Context, rows: View) -> View:
        """Let nobody into the vault while it is closed."""
        return rows if self._is_open else rows - rows.tagged("vault")


app = Office()
vault = Vault()
