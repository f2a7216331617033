"""The smallest whole plugin: a rule that looks at one record and its configuration.

A built-in step before it, `window = { rolling = "5m" }` with `txn_count = "count()"`, adds how many transactions the customer made in
the five minutes up to this one. Without that step only the amount counts.
"""

from dataclasses import dataclass

from wasmill_plugin import Output, transform


@dataclass
class Txn:
    """What the rule reads. A record that lacks a field that has no default, or holds another kind there, never gets here."""

    customer_id: str
    transaction_id: str
    amount: float
    timestamp: str  # As RFC 3339. It only goes through, so it stays text.
    txn_count: int = 0


@dataclass
class Alert:
    """What the rule says, in this order."""

    customer_id: str
    transaction_id: str
    amount: float
    alerts: list[str]
    timestamp: str


@dataclass
class Config:
    """The step's `config`. An unknown key refuses the deployment."""

    max_amount: float = 10_000.0  # An amount above this is an alert.
    max_count: int = 5  # More transactions than this in five minutes are an alert.


@transform(name="fraud-rules", output=Alert)
def rules(txn: Txn, config: Config, out: Output[Alert]):
    """Alerts on transactions of a customer that are too many in five minutes or too large."""
    if txn.txn_count <= config.max_count and txn.amount <= config.max_amount:
        return
    alerts = []
    if txn.txn_count > config.max_count:
        alerts.append(f"High velocity: {txn.txn_count} transactions in 5 min")
    if txn.amount > config.max_amount:
        alerts.append(f"High amount: {txn.amount:.2f}")
    out.emit(Alert(txn.customer_id, txn.transaction_id, txn.amount, alerts, txn.timestamp))
