"""Passes half of the records on."""

from dataclasses import dataclass

from wasmill_plugin import Batch, Output, transform

@dataclass
class Payment:
    amount: float
    customer: str | None


@transform(name="filter")
def rule(batch: Batch[Payment], out: Output[None]):
    """Passes large payments on."""
    out.keep([row for row, amount in enumerate(batch.amount) if amount > 10_000.0])
