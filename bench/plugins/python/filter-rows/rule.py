"""Passes half of the records on."""

from dataclasses import dataclass

from wasmill_plugin import Output, transform

@dataclass
class Payment:
    amount: float
    customer: str | None


@transform(name="filter-rows")
def rule(payment: Payment, out: Output[None]):
    """Passes large payments on."""
    if payment.amount > 10_000.0:
        out.keep()
