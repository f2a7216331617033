"""Scores every transaction with a trained model: how unusual is this amount for this hour of the day?

The model is a small neural network of micrograd, a library in pure Python. Its weights lie in `model/weights.json`; that file is read while the
component is built, and what was read is part of the component. At run time there are no files.
"""

import json
import math
import pathlib
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache

from micrograd.nn import MLP
from wasmill_plugin import Output, Reject, transform

WEIGHTS = json.loads((pathlib.Path(__file__).parent / "model/weights.json").read_text())


def network() -> MLP:
    """The network with its trained weights: hour of the day in, mean of the amount's logarithm out."""
    model = MLP(2, WEIGHTS["layers"])
    for parameter, value in zip(model.parameters(), WEIGHTS["parameters"], strict=True):
        parameter.data = value
    return model


MODEL = network()


@cache  # Twenty-four answers are all there are.
def usual(hour: int) -> float:
    """The logarithm (base 10) of the amount that is usual in this hour of the day."""
    angle = hour / 24 * math.tau
    return MODEL([math.sin(angle), math.cos(angle)]).data


@dataclass
class Txn:
    transaction_id: str
    amount: float
    timestamp: str  # As RFC 3339.


@dataclass
class Anomaly:
    transaction_id: str
    amount: float
    usual_amount: float
    score: float  # Standard deviations between the amount and the usual one, as logarithms.


@dataclass
class Config:
    min_score: float = 3.0  # A transaction that scores less is usual.


@transform(name="anomaly-score", output=Anomaly)
def anomaly_score(txn: Txn, config: Config, out: Output[Anomaly]):
    """Tells transactions whose amount is unusual for the hour of the day."""
    if txn.amount <= 0:
        raise Reject("the amount is not positive")
    try:
        hour = datetime.fromisoformat(txn.timestamp).astimezone(timezone.utc).hour
    except ValueError:
        raise Reject(f"`timestamp` is {txn.timestamp}: expected RFC 3339") from None
    expected = usual(hour)
    score = abs(math.log10(txn.amount) - expected) / WEIGHTS["deviation"]
    if score >= config.min_score:
        out.emit(Anomaly(txn.transaction_id, txn.amount, round(10**expected, 2), round(score, 2)))
