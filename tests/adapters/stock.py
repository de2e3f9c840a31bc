"""Plain functions and texts for the servers of these tests, which import nothing else from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

THINGS = ("invoice", "customer", "flight", "hotel", "recipe", "subnet", "color", "matrix", "song", "plant")
ACTIONS = ("find", "order", "delete", "compare")

INVOICES = "find an invoice and compare it with another invoice"
FLIGHTS = "order a flight, delete the flight"

TOOLS = tuple(f"{action}_{thing}" for thing in THINGS for action in ACTIONS)


def functions() -> Iterator[Callable[..., str]]:
    """Yield a function for each tool."""
    for thing in THINGS:
        for action in ACTIONS:
            yield _function(action, thing)


def _function(action: str, thing: str) -> Callable[..., str]:
    def run(title: str) -> str:
        return f"{action} {thing} {title}"

    run.__name__ = f"{action}_{thing}"
    run.__doc__ = f"{action.capitalize()} one {thing} by words of its title."
    return run


def reader(thing: str) -> Callable[[], str]:
    def read() -> str:
        return f"all about the {thing}"

    read.__name__ = f"about_{thing}"
    read.__doc__ = f"What there is to know about a {thing}."
    return read


def asker(number: int) -> Callable[[], str]:
    thing = THINGS[number % len(THINGS)]

    def ask() -> str:
        return f"Tell me more about the {thing}."

    ask.__name__ = f"ask_about_{thing}_{number}"
    ask.__doc__ = f"Ask about a {thing}."
    return ask
