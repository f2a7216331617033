"""Refusing a record."""


class Reject(Exception):
    """Raise it to refuse the record at hand: it goes to the dead letters with this reason, and the batch goes on.

    What the rule emitted for the record before, and the timers that it set, are taken back. What it did to its state stays:
    look first, change then. A reason is lower-case, without a full stop.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
