from dataclasses import dataclass

import pytest

from wasmill_plugin import Group, Key, Output, Reject, State, Time, Timer, Timers, keyed
from wasmill_plugin.output import Cursor
from wasmill_plugin.testing import KeyedTest, Row
from wasmill_plugin.testing.rows import Writer
from wasmill_plugin.testing.run import Reader
from wasmill_plugin.wire import Answer, Request


@dataclass
class Event:
    at: Time


@dataclass
class Activity:
    first: int
    last: int
    count: int


@dataclass
class Summary:
    key: str
    first: int
    last: int
    count: int


@dataclass
class Config:
    silence_ms: int = 300_000


@keyed(output=Summary)
def velocity(event: Event, state: State[Activity], timers: Timers, config: Config):
    if event.at == 13:
        timers.set(7, 1)
        raise Reject("unlucky")
    seen = state.value or Activity(event.at, event.at, 0)
    seen.first = min(seen.first, event.at)
    seen.count += 1
    if event.at >= seen.last:
        seen.last = event.at
        timers.set(0, event.at + config.silence_ms)
    state.value = seen


@velocity.on_timer
def fell_silent(timer: Timer, state: State[Activity], out: Output[Summary]):
    seen, state.value = state.value, None
    out.emit(Summary(timer.key, seen.first, seen.last, seen.count))


def event(key, at):
    return Row({}, key=key, time=at)


def test_a_key_is_summed_up_when_it_falls_silent_and_forgotten():
    test = KeyedTest(velocity, {"silence_ms": 100})
    test.run([event("ann", 10), event("bob", 20), event("ann", 50)])
    test.run([event("ann", 90)])
    assert test.state("ann") == Activity(10, 90, 3)
    assert test.timers() == [("ann", 0, 190), ("bob", 0, 120)]
    assert str(test.advance(119)) == ""
    assert str(test.advance(200)).splitlines() == [
        'out: {"key":"bob","first":20,"last":20,"count":1}',
        'out: {"key":"ann","first":10,"last":90,"count":3}',
    ]
    assert (test.keys(), test.timers()) == (0, [])


def test_a_refused_record_takes_its_timers_back():
    test = KeyedTest(velocity)
    assert test.run([event("ann", 13)]).rejects == [(0, "unlucky")]
    assert (test.keys(), test.timers()) == (0, [])


def test_a_key_that_is_no_text_is_refused_when_the_timer_asks_for_it():
    test = KeyedTest(velocity, {"silence_ms": 1})
    test.run([event(b"\xff", 10)])
    assert test.advance(20).rejects[0][1].startswith("the key is not text")


@dataclass
class Txn:
    user: Key
    amount: float
    note: str | None


@dataclass
class Total:
    total: float
    notes: list[str | None]


@keyed(output=Total)
def totals(group: Group[Txn], state: State[float], out: Output[Total]):
    if group.amount[0] < 0:
        out.keep(group.rows)
        raise Reject("negative")
    state.value = (state.value or 0.0) + sum(group.amount)
    out.emit(Total(state.value, list(group.note)))
    out.keep(group.rows)


def test_a_rule_over_groups_is_called_once_a_key():
    test = KeyedTest(totals, key="user")
    rows = [("bob", 1, "x"), ("ann", 2, None), ("bob", 3, None), ("cid", -1, None)]
    run = test.run([{"user": user, "amount": amount, "note": note} for user, amount, note in rows])
    assert str(run).splitlines() == [
        'out: {"total":2.0,"notes":[null]}',
        'out: {"user":"ann","amount":2,"note":null}',
        'out: {"total":4.0,"notes":["x",null]}',
        'out: {"user":"bob","amount":1,"note":"x"}',
        'out: {"user":"bob","amount":3,"note":null}',
        "reject 3: negative",
    ]
    assert (test.state("ann"), test.state("bob"), test.state("cid")) == (2.0, 4.0, None)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [(bytes, b"\x00\xff", b"\x00\xff"), (int, 7, b"7"), (dict, {"a": 1.5}, b'{"a":1.5}'), (list[Activity], [Activity(1, 2, 3)], None)],
)
def test_a_state_is_kept_as_bytes_or_as_json(kind, value, stored):
    seen = []

    def rule(event: Event, state):
        seen.append(state.value)
        state.value = value

    rule.__annotations__["state"] = State[kind]
    test = KeyedTest(keyed(rule))
    for _ in range(2):
        test.run([event("ann", 1)])
    assert seen == [None, value]
    assert test._states[b"ann"] == (stored or b'[{"first":1,"last":2,"count":3}]')


def migrated(plugin, version, states):
    answer = Answer()
    plugin.migrate_states(Request(Writer().word(version).strings(states).finish()), answer)
    return Reader(answer).strings()


def test_stored_state_of_an_older_version_is_migrated():
    def rule(event: Event, state: State[Activity]):
        pass

    plugin = keyed(state_version=2)(rule)
    with pytest.raises(LookupError, match="no migration from state version 1"):
        migrated(plugin, 1, [b"5"])

    @plugin.migrate
    def migrate(version: int, state: int) -> Activity:
        return Activity(0, 0, state + version)

    assert migrated(plugin, 1, [b"5", b"7"]) == [b'{"first":0,"last":0,"count":6}', b'{"first":0,"last":0,"count":8}']


def test_state_of_another_form_says_what_to_do():
    test = KeyedTest(velocity)
    test._states[b"ann"] = b'{"first":1}'
    with pytest.raises(ValueError, match="stored state is no Activity: .*raises state_version and migrates"):
        test.run([event("ann", 1)])


def test_a_timer_outside_of_64_bits_is_refused():
    with pytest.raises(ValueError, match="expected an int of 64 bits"):
        Timers(None, Cursor()).set(0, 2**63)
