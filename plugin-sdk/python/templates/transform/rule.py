"""Alerts on transactions that are too large."""

from dataclasses import dataclass

from wasmill_plugin import Output, Reject, transform


@dataclass
class Txn:
    """What the rule reads. No other field is decoded; a record without one that may not be None goes to the dead letters."""

    customer_id: str
    amount: float
    note: str | None


@dataclass
class Alert:
    """What it writes, in this order."""

    customer_id: str
    amount: float
    note: str | None


@dataclass
class Config:
    """The step's `config`. A wrong one is refused before anything starts."""

    max_amount: float = 10_000.0


@transform(name="example-rule", output=Alert)
def example_rule(txn: Txn, config: Config, out: Output[Alert]):
    """Alerts on transactions that are too large."""
    if txn.amount < 0:
        raise Reject("a negative amount")  # To the dead letters, with this reason.
    if txn.amount > config.max_amount:
        out.emit(Alert(txn.customer_id, txn.amount, txn.note))
