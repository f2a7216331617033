"""Write a wasmill plugin in Python: the business rule as one typed function, nothing else.

    from dataclasses import dataclass
    from wasmill_plugin import Output, Reject, transform

    @dataclass
    class Txn:                      # What the rule reads. No other field is decoded.
        customer_id: str
        amount: float
        note: str | None            # May be missing. A record without the others goes to the dead letters.

    @dataclass
    class Alert:                    # What it writes, in this order.
        customer_id: str
        amount: float

    @dataclass
    class Config:                   # The step's `config`; an unknown key refuses the deployment.
        max_amount: float = 10_000.0

    @transform(output=Alert)
    def large_amount(txn: Txn, config: Config, out: Output[Alert]):
        \"\"\"Alerts on transactions that are too large.\"\"\"
        if txn.amount < 0:
            raise Reject("a negative amount")
        if txn.amount > config.max_amount:
            out.emit(Alert(txn.customer_id, txn.amount))

| a rule that                      | is written with                                                 |
|----------------------------------|-----------------------------------------------------------------|
| looks at one record              | `transform`: filter, map, split, route                          |
| remembers something for each key | `keyed`: a typed `State`, `Timers`                              |
| folds the records of a window    | `aggregate`: a class with add, merge and finish                 |
| must be fast                     | a `Batch` or a `Group` of records, as columns                   |

Types of fields: `int` (64 bits), `float`, `bool`, `str`, `bytes`; anything else (lists, dicts, dataclasses, `Any`) is JSON. `X | None` may be
missing, and so may a field with a default. `Key`, `Time` and their like, `path` and `header` name other places than a field of
the value. `wasmill_plugin.testing` drives a rule over JSON records, without WebAssembly. An exception costs the record, not the
pipeline: it goes to the dead letters with its type, message and line. Python's `logging` and `print` write to wasmill's log.
"""

from .aggregate import Window, aggregate
from .batch import Batch, Group
from .host import count
from .keyed import keyed
from .output import Output, Port
from .plugin import NoConfig
from .reject import Reject
from .slots import Key, KeyBytes, Offset, Partition, Time, Topic, Value, header, path
from .state import State
from .timers import Timer, Timers
from .transform import transform

__all__ = [
    "Batch", "Group", "Key", "KeyBytes", "NoConfig", "Offset", "Output", "Partition", "Port", "Reject", "State", "Time", "Timer",
    "Timers", "Topic", "Value", "Window", "aggregate", "count", "header", "keyed", "path", "transform",
]  # fmt: skip
