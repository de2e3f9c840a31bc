"""Checks that end otherwise behind a gateway than with the server alone, and why."""

from __future__ import annotations

from typing import Final, NamedTuple


class Exempt(NamedTuple):
    """Checks of one scenario.

    Attributes:
        scenario: Its name.
        checks: Those that end otherwise, or are not made there; all others have to end as they do.
        why: The reason, which holds for all of them.
    """

    scenario: str
    checks: tuple[str, ...]
    why: str


_KEYS: Final = (
    "the gateway gives questions keys of its own, so that no server behind it can name the answer to a "
    "question that the gateway asks itself; the suite wants the key that the fixture server chose"
)
_POLLING: Final = (
    "that a server lets the connection of a call go, and is asked again, is between it and the gateway, "
    "whose stream to the client stays; so there is nothing to judge"
)
_TASKS: Final = "the gateway does not offer the tasks extension"
_FOLLOWED: Final = (
    "the gateway follows the task itself, so that a client that knows no tasks gets the result; the suite "
    "wants the refusal that the fixture server gives such clients"
)

EXEMPT: Final = (
    Exempt(
        "input-required-result-basic-elicitation",
        ("sep-2322-elicitation-incomplete", "sep-2322-elicitation-complete"),
        _KEYS,
    ),
    Exempt("input-required-result-ignore-extra-params", ("sep-2322-ignore-unexpected-params",), _KEYS),
    Exempt("server-sse-polling", ("server-sse-disconnect-resume",), _POLLING),
    Exempt(
        "tasks-capability-negotiation",
        (
            "sep-2663-tasks-methods-non-declaring",
            "tasks-extension-advertised",
            "tasks-per-request-meta-opt-in",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-dispatch-and-envelope",
        (
            "sep-2663-durable-create-strong-consistency",
            "sep-2663-tasks-get-invalid-task-id-32602",
            "tasks-result-type-complete-on-non-task-responses",
            "tasks-server-directed-creation-no-hint",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-lifecycle",
        (
            "sep-2663-cancel-ack-empty-result",
            "sep-2663-result-type-task-on-create",
            "sep-2663-tasks-get-status-completed",
            "sep-2663-tasks-get-status-failed",
            "sep-2663-tasks-get-status-working",
            "sep-2663-tool-error-uses-completed-status",
            "tasks-cancel-terminal-idempotent-ack",
        ),
        _TASKS,
    ),
    Exempt("tasks-mrtr-composition", ("sep-2663-mrtr-synchronous-before-task-creation",), _TASKS),
    Exempt(
        "tasks-mrtr-input",
        (
            "sep-2663-tasks-get-status-input-required",
            "tasks-mrtr-partial-fulfillment",
            "tasks-mrtr-tasks-update-resumes",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-request-headers",
        (
            "sep-2663-routing-headers-accepted-on-tasks-get",
            "sep-2663-server-rejects-mismatched-mcp-name-on-tasks-get",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-request-state-removal",
        (
            "tasks-create-result-no-request-state",
            "tasks-get-detailed-no-request-state",
            "tasks-request-state-removal-setup",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-wire-fields",
        (
            "tasks-no-early-ttl-expiry",
            "tasks-no-related-task-meta-on-inlined-result",
            "tasks-wire-field-renames",
        ),
        _TASKS,
    ),
    Exempt(
        "tasks-required-task-error",
        (
            "sep-2663-server-returns-missing-capability-data-shape",
            "sep-2663-server-returns-missing-capability-when-required",
        ),
        _FOLLOWED,
    ),
)
