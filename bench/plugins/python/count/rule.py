"""Counts the records of each key."""

from dataclasses import dataclass

from wasmill_plugin import Group, Output, State, keyed

@dataclass
class Payment:
    amount: float
    customer: str | None


@dataclass
class Count:
    count: int


@keyed(name="count", output=Count)
def rule(payments: Group[Payment], state: State[int], out: Output[Count]):
    """Counts, and writes a row for each key of a batch."""
    state.value = (state.value or 0) + len(payments)
    out.emit(Count(state.value))
