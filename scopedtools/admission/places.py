"""Places of a process, of which nobody may take all."""

from __future__ import annotations

from typing import Final

from scopedtools.exceptions import OverloadError, OverShareError
from scopedtools.types import ANONYMOUS, Principal

_NOBODY: Final = ANONYMOUS.name


class Places:
    """So many places, and so many for one principal; those of the anonymous are bounded together alone.

    Args:
        most: Places.
        most_of_principal: Places of one principal.
        what: What takes them, in the plural.
    """

    def __init__(self, most: int, most_of_principal: int, what: str) -> None:
        self._most = most
        self._most_of_principal = most_of_principal
        self._what = what
        self._taken = 0
        self._of: dict[str, int] = {}

    def require(self, principal: Principal) -> None:
        """Make sure that there is a place.

        Raises:
            OverShareError: This principal has as many as it may.
            OverloadError: There is none for anybody.
        """
        if self._of.get(principal.name, 0) >= self._most_of_principal:
            raise OverShareError(
                f"You have {self._most_of_principal} {self._what} under way already, try again later"
            )
        if self._taken >= self._most:
            raise OverloadError(f"There are {self._most} {self._what} under way already, try again later")

    def enter(self, principal: Principal) -> None:
        """Take a place; raises as `require`."""
        name = principal.name
        own = 0 if name == _NOBODY else self._of.get(name, 0) + 1
        if self._taken >= self._most or own > self._most_of_principal:
            self.require(principal)
        self._taken += 1
        if own:
            self._of[name] = own

    def leave(self, principal: Principal) -> None:
        """Give a place back."""
        self._taken -= 1
        own = self._of.get(principal.name, 0)
        if own > 1:
            self._of[principal.name] = own - 1
        elif own:
            del self._of[principal.name]
