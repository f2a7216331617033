"""Runs a plugin natively, as the host runs it: records go in as JSON and out as columns, through all that the SDK does in a component.

    from wasmill_plugin.testing import TransformTest
    from rule import rules

    def test_a_large_amount_is_an_alert():
        run = TransformTest(rules, {"max_amount": 100}).run([{"amount": 99}, {"amount": 101}])
        assert str(run) == 'out: {"amount":101.0}'

As text a `Run` has one line for each thing that happened, in this order: emitted rows (`PORT: JSON`), `reject ROW: REASON`, log lines,
counters. Its fields suit single assertions. An exception of the rule is the test's.
"""

from __future__ import annotations

from typing import Any

from ..plugin import Plugin
from ..values import Mismatch, dumps
from .keyed import KeyedTest
from .rows import Row
from .run import Emitted, Run
from .transform import TransformTest
from .window import AggregateTest

__all__ = ["AggregateTest", "Emitted", "KeyedTest", "Row", "Run", "TransformTest", "config_error"]


def config_error(plugin: Plugin, config: Any) -> str | None:
    """Why the plugin refuses this configuration, or None when it takes it."""
    try:
        plugin.open(dumps(config))
    except Mismatch as mismatch:
        return str(mismatch)
    return None
