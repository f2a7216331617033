"""Counts the records of each key. Version 1 of its state was the count as eight bytes, the lowest first."""

from dataclasses import dataclass

from wasmill_plugin import Output, State, keyed


@dataclass
class Event:
    id: int


@dataclass
class Seen:
    count: int


@keyed(name="counter", output=Seen, state_version=2)
def rule(event: Event, state: State[Seen], out: Output[Seen]):
    """Writes how many records of its key there were."""
    count = state.value.count + 1 if state.value else 1
    state.value = Seen(count)
    out.emit(Seen(count))


@rule.migrate
def migrate(version: int, state: bytes) -> Seen:
    if version != 1:
        raise ValueError(f"there is no way from version {version}")
    return Seen(int.from_bytes(state, "little"))
