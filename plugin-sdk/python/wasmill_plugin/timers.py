"""Event-time timers of a keyed plugin."""

from __future__ import annotations

from dataclasses import dataclass

from .output import Cursor
from .reject import Reject
from .wire import Answer


class Timers:
    """Sets and cancels the timers of the key at hand. A key holds one timer of each id, which the author numbers."""

    __slots__ = ("watermark", "_at", "_group", "_set")

    def __init__(self, watermark: int | None, at: Cursor) -> None:
        #: No record on time is older than this, in milliseconds since the Unix epoch; None before the first watermark.
        self.watermark = watermark
        self._at, self._group = at, 0
        #: Group, id, time and the row that set it.
        self._set: list[tuple[int, int, int | None, int]] = []

    def set(self, id: int, at: int) -> None:
        """Calls `on_timer` for this key once the watermark has passed `at`, in milliseconds since the Unix epoch.

        It replaces the key's timer of that id.
        """
        if type(at) is not int or not -(2**63) <= at < 2**63:
            raise ValueError(f"a timer's time is {at!r}, expected an int of 64 bits, in milliseconds")
        self._set.append((self._group, id, at, self._at.row))

    def cancel(self, id: int) -> None:
        """Cancels the key's timer of that id, if it has one."""
        self._set.append((self._group, id, None, self._at.row))

    def _forget(self) -> None:
        """Takes back what the record at hand has set."""
        while self._set and self._set[-1][3] == self._at.row:
            self._set.pop()

    def _answer(self, answer: Answer) -> None:
        answer.numbers("I", [it[0] for it in self._set])
        answer.numbers("I", [it[1] for it in self._set])
        answer.raw(bytes(it[2] is not None for it in self._set))
        answer.numbers("q", [it[2] or 0 for it in self._set])


@dataclass(frozen=True)
class Timer:
    """A timer that has fired."""

    #: Which of the key's timers.
    id: int
    #: The event time that it was set for, in milliseconds since the Unix epoch.
    at: int
    #: The key as it is; empty for the null key.
    key_bytes: bytes

    @property
    def key(self) -> str:
        """The key as text. Raises `Reject` where it is none."""
        return key_text(self.key_bytes)


def key_text(key: bytes) -> str:
    """A key as text. Raises `Reject` where it is none."""
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise Reject(f"the key is not text: {error}") from None
