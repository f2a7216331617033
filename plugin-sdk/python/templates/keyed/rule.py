"""Counts the records of each key, and says so when a key falls silent."""

from dataclasses import dataclass

from wasmill_plugin import Output, Reject, State, Time, Timer, Timers, keyed


@dataclass
class Event:
    """What the rule reads: nothing of the value, only the event time."""

    at: Time  # Milliseconds since the Unix epoch.


@dataclass
class Activity:
    """What is remembered of a key. The host keeps it, checkpoints it and gives it back; whoever changes its form raises `state_version`."""

    last: int
    count: int


@dataclass
class Summary:
    """Written once for each time that a key was active."""

    key: str
    last: int
    count: int


@dataclass
class Config:
    """The step's `config`. A wrong one is refused before anything starts."""

    silence_ms: int = 300_000  # A key without a record for this long is silent, in milliseconds of event time.


SILENCE = 0  # The only timer; a key holds at most one of each number.


@keyed(name="example-rule", output=Summary, state_version=1)
def example_rule(event: Event, state: State[Activity], timers: Timers, config: Config):
    """Counts the records of each key, and sums up when a key falls silent."""
    silent_at = event.at + config.silence_ms
    if silent_at >= 2**63:
        raise Reject("the time is out of range")
    activity = state.value or Activity(last=event.at, count=0)
    activity.count += 1
    if event.at >= activity.last:
        activity.last = event.at
        timers.set(SILENCE, silent_at)  # Replaces the one before.
    state.value = activity


@example_rule.on_timer
def fell_silent(timer: Timer, state: State[Activity], out: Output[Summary]):
    """Sums up and forgets the key."""
    activity, state.value = state.value, None
    if activity:
        out.emit(Summary(timer.key, activity.last, activity.count))
