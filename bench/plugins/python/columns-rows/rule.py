"""Writes half of the records as two columns."""

from dataclasses import dataclass

from wasmill_plugin import Output, transform

@dataclass
class Payment:
    amount: float
    customer: str | None


@dataclass
class Alert:
    customer: str | None
    amount: float


@transform(name="columns-rows", output=Alert)
def rule(payment: Payment, out: Output[Alert]):
    """Writes large payments."""
    if payment.amount > 10_000.0:
        out.emit(Alert(payment.customer, payment.amount))
