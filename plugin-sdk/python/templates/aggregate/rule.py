"""Counts and sums up the orders of each window."""

from dataclasses import dataclass

from wasmill_plugin import Output, Window, aggregate


@dataclass
class Order:
    """What the rule reads. Key and window are told to `finish`."""

    amount: float


@dataclass
class Takings:
    """What is known of a window so far. Whoever changes its form raises `state_version`."""

    orders: int = 0
    revenue: float = 0.0


@dataclass
class Row:
    """Written for each window, in this order."""

    seller: str
    window_start: int
    window_end: int
    orders: int
    revenue: float


@aggregate(name="example-rule", output=Row, state_version=1)
class ExampleRule:
    """Counts and sums up the orders of each window."""

    def add(self, order: Order, takings: Takings):
        takings.orders += 1
        takings.revenue += order.amount

    def merge(self, left: Takings, right: Takings):
        left.orders += right.orders
        left.revenue += right.revenue

    def finish(self, window: Window, takings: Takings, out: Output[Row]):
        out.emit(Row(window.key, window.start, window.end, takings.orders, takings.revenue))
