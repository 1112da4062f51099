"""Whose turn it is: the policy's, or that of skipping in time."""

from __future__ import annotations


class Turns:
    """Lets two ways take turns: long ones for the cheaper, short ones to see whether it still is.

    The policy may cost a little more: it sees what happens, and skipping does not.

    Attributes:
        asking: whether the policy is asked now; if not, frames are skipped in time.
    """

    _SKIP_LOOK, _ASK_LOOK = 12, 32  # frames of a short turn: results of blocks take time to age
    _FAVOUR = 1.25  # times the cost of skipping, up to which the policy has the turn
    _FIRST, _LONGEST = 64, 1024  # frames of a long turn; twice as many each time nothing changed

    def __init__(self) -> None:
        self.asking = False
        self._looking = True  # in a short turn
        self._stay = self._FIRST
        self._left = self._SKIP_LOOK
        self._known = False  # the cost of the policy

    def advance(self, asking_cost: float, skipping_cost: float) -> None:
        """Note a frame, and what both ways cost now, at the same agreement."""
        self._left -= 1
        asking_pays = asking_cost < min(self._FAVOUR * skipping_cost, 1.0)
        given_up = self.asking and not self._looking and not asking_pays
        if self._left > 0 and not given_up:
            return
        if self._looking and self._known:
            self._settle(asking_pays)
        else:
            self._look()

    def _settle(self, asking: bool) -> None:
        kept = asking != self.asking  # who was looked at lost
        self._stay = min(2 * self._stay, self._LONGEST) if kept else self._FIRST
        self.asking, self._looking, self._left = asking, False, self._stay

    def _look(self) -> None:
        self.asking = not self.asking
        self._looking = True
        self._left = self._ASK_LOOK if self.asking else self._SKIP_LOOK
        self._known |= self.asking
