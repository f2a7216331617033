"""Writes half of the records as two columns."""

from dataclasses import dataclass

from wasmill_plugin import Batch, Output, transform

@dataclass
class Payment:
    amount: float
    customer: str | None


@dataclass
class Alert:
    customer: str | None
    amount: float


@transform(name="columns", output=Alert)
def rule(batch: Batch[Payment], out: Output[Alert]):
    """Writes large payments."""
    rows = [row for row, amount in enumerate(batch.amount) if amount > 10_000.0]
    out.emit_columns(rows, customer=batch.customer.take(rows), amount=batch.amount.take(rows))
