import pytest

from rule import anomaly_score, usual
from wasmill_plugin.testing import TransformTest


def transaction(number, amount, hour):
    return {"transaction_id": f"t{number}", "amount": amount, "timestamp": f"2026-01-01T{hour:02}:30:00Z"}


def test_the_same_amount_is_usual_in_the_evening_and_unusual_in_the_morning():
    run = TransformTest(anomaly_score).run([transaction(0, 150, 20), transaction(1, 150, 8)])
    assert [row["transaction_id"] for row in run.rows()] == ["t1"]
    assert run.rows()[0]["score"] > 3


@pytest.mark.parametrize(("hour", "amount"), [(2, 71), (8, 32), (14, 71), (20, 158)])
def test_the_model_has_learned_what_is_usual(hour, amount):
    assert amount / 1.3 < 10 ** usual(hour) < amount * 1.3


def test_how_unusual_is_configured():
    rows = [transaction(0, 80, 8), transaction(1, 4000, 8)]
    assert len(TransformTest(anomaly_score, {"min_score": 1}).run(rows).rows()) == 2
    assert len(TransformTest(anomaly_score, {"min_score": 6}).run(rows).rows()) == 1


def test_what_cannot_be_scored_is_refused():
    run = TransformTest(anomaly_score).run([transaction(0, 0, 4), {"transaction_id": "t", "amount": 1, "timestamp": "noon"}])
    assert run.rejects == [(0, "the amount is not positive"), (1, "`timestamp` is noon: expected RFC 3339")]
