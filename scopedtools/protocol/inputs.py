"""What a tool asks of the client in the middle of a call.

Before 2026-07-28 a question is a request to the client, and the call waits. Since then nothing waits: the
call ends with ``input_required``, the client asks its user and calls again with the answers, and the tool
runs from its beginning, this time with answers where it had questions. What was answered in earlier rounds
travels along, sealed, in ``requestState``. Only in a task a question waits for its answer once more.

Source: the multi round-trip page of the specification at 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from msgspec import Raw

from scopedtools.exceptions import InvalidParamsError, MissingCapabilityError, ToolError
from scopedtools.protocol.methods import InputParams
from scopedtools.protocol.request import Request
from scopedtools.protocol.seal import Sealer

Asked = Literal["elicitation/create", "sampling/createMessage", "roots/list"]

_CAPABILITY: Final[Mapping[str, str]] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only the client can answer.

    Attributes:
        method: What is asked for.
        params: Of the request to the client.
    """

    method: Asked
    params: Mapping[str, Any]

    def wire(self) -> dict[str, Any]:
        """Return the question as it stands in ``inputRequests``."""
        return {"method": self.method, "params": dict(self.params)}


class InputRequired(BaseException):
    """A call cannot go on before the client has answered.

    Not an `Exception`, so that a tool that catches everything does not catch its own question.

    Attributes:
        questions: What is asked, by key.
        seal: Returns the sealed answers of earlier rounds, as they are when it is called.
    """

    def __init__(self, questions: Mapping[str, Question], seal: Callable[[], str]) -> None:
        super().__init__(", ".join(questions))
        self.questions = questions
        self.seal = seal


def asked_in(error: BaseException) -> InputRequired | None:
    """Return what is asked, where an exception or any of its group asks something.

    A tool that asks several things side by side, in a task group, ends with all the questions in one group.
    """
    if isinstance(error, InputRequired):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    asked = [found for one in error.exceptions if (found := asked_in(one)) is not None]
    if not asked:
        return None
    return InputRequired(
        {key: question for one in asked for key, question in one.questions.items()}, asked[0].seal
    )


class Inputs:
    """Questions and answers of one request.

    Args:
        request: The request in which the questions come up.
        sealer: Seals what was answered.
    """

    def __init__(self, request: Request, sealer: Sealer) -> None:
        self._request = request
        self._sealer = sealer
        self._asked = 0
        self._answers = self._so_far() if request.revision.stateless else {}

    def next_key(self, kind: str) -> str:
        """Name a question by its place in the call: the same in each round."""
        self._asked += 1
        return f"{kind}-{self._asked}"

    def has(self, keys: Iterable[str]) -> bool:
        """Tell whether there are answers already."""
        return all(key in self._answers for key in keys)

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, dict[str, Any]]:
        """Return the client's answers by key.

        Raises:
            InputRequired: They have to come in another round.
            MissingCapabilityError: The client has not declared that it can answer.
        """
        missing = {key: question for key, question in questions.items() if key not in self._answers}
        for question in missing.values():
            self._require_capability(question)
        if not self._request.revision.stateless:
            for key, question in missing.items():
                ask = self._request.ingress.exchange.ask
                self._answers[key] = await ask(question.method, self._params(question))
        elif missing and (task := self._request.begun_task) is not None:
            self._answers |= await task.ask({key: one.wire() for key, one in missing.items()})
        elif missing:
            self._require(missing)
        return {key: self._answers[key] for key in questions}

    def reject(self, key: str, question: Question, problem: str) -> None:
        """Forget an answer that does not fit, so that the question can be asked again.

        Raises:
            InputRequired: The client is asked again in another round.
            ToolError: Before 2026-07-28, where the call ends here.
        """
        if not self._request.revision.stateless:
            raise ToolError(problem)
        self._answers.pop(key, None)
        if self._request.begun_task is None:
            self._require({key: question})

    def _require(self, questions: Mapping[str, Question]) -> None:
        raise InputRequired(questions, lambda: self._sealer.seal(self._answers, purpose=self._purpose()))

    def _so_far(self) -> dict[str, dict[str, Any]]:
        params = cast("InputParams", self._request.params)
        answers: dict[str, dict[str, Any]] = {}
        if params.request_state is not None:
            answers |= self._sealer.open(params.request_state, purpose=self._purpose())
        for key, answer in (params.input_responses or {}).items():
            if not isinstance(answer, dict):
                raise InvalidParamsError(f"inputResponses[{key!r}] must be an object, got {answer!r}")
            answers.setdefault(key, answer)
        return answers

    def _purpose(self) -> bytes:
        """Say which call this is: an answer to one question is none to another."""
        params = self._request.params
        target = getattr(params, self._request.method.named_by or "", "")
        arguments = getattr(params, "arguments", b"")
        raw = bytes(arguments) if isinstance(arguments, Raw) else repr(arguments).encode()
        principal = self._request.ingress.principal.name
        return b"\0".join((principal.encode(), self._request.method.name.encode(), str(target).encode(), raw))

    def _params(self, question: Question) -> Mapping[str, Any]:
        if self._request.revision.elicitation_modes:
            return question.params
        return {name: value for name, value in question.params.items() if name != "mode"}

    def _require_capability(self, question: Question) -> None:
        name = _CAPABILITY[question.method]
        unheard = question.method in self._request.revision.unknown_requests
        declared = {} if unheard else self._request.client_capabilities
        if declared is None:
            return
        needed: dict[str, Any] = {}
        if name in declared:
            mode = question.params.get("mode", "form")
            if name != "elicitation" or mode in _modes(declared[name]):
                return
            needed = {mode: {}}
        raise MissingCapabilityError(
            f"This needs a client with the capability {'.'.join((name, *needed))!r}",
            data={"requiredCapabilities": {name: needed}},
        )


def _modes(elicitation: Any) -> set[str]:
    """Return the modes of elicitation that a client declares; one that names none knows forms."""
    named = {"form", "url"} & set(elicitation) if isinstance(elicitation, dict) else set()
    return named or {"form"}
