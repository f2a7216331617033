import os

from wasmill_plugin import Reject, faults
from wasmill_plugin.values import Mismatch

ROOT = os.path.dirname(__file__)


def fault(work):
    try:
        work()
    except Exception as error:
        return faults.describe(error, ROOT)


def broken():
    int("x")


def chained():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("no such key") from error


def in_library():
    import json

    json.loads("{")


def test_an_exception_is_told_with_type_message_and_line():
    line = broken.__code__.co_firstlineno + 1
    assert fault(broken) == f"ValueError: invalid literal for int() with base 10: 'x' (test_faults.py:{line}, in broken)"


def test_the_line_is_the_authors_where_a_library_raised():
    line = in_library.__code__.co_firstlineno + 3
    assert fault(in_library).endswith(f"(test_faults.py:{line}, in in_library)")


def test_a_cause_is_told_too():
    first = chained.__code__.co_firstlineno
    assert fault(chained) == (
        f"ValueError: no such key (test_faults.py:{first + 4}, in chained); "
        f"caused by KeyError: 'key' (test_faults.py:{first + 2}, in chained)"
    )


def test_what_the_author_says_himself_stands_alone():
    assert faults.describe(Reject("too old")) == "too old"
    assert faults.describe(Mismatch("config.a", "wrong")) == "config.a: wrong"
    assert faults.describe(faults.NoMigration("no migration from state version 1")) == "no migration from state version 1"
