"""Counts the records of each key."""

from dataclasses import dataclass

from wasmill_plugin import Output, State, keyed

@dataclass
class Payment:
    amount: float
    customer: str | None


@dataclass
class Count:
    count: int


@keyed(name="count-rows", output=Count)
def rule(payment: Payment, state: State[int], out: Output[Count]):
    """Counts, and writes every sixteenth count of a key."""
    state.value = count = (state.value or 0) + 1
    if count % 16 == 0:
        out.emit(Count(count))
