"""Where a field's values come from, or go to, and of which kind they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

# The kinds of the boundary, by their numbers there.
S64, F64, BOOLEAN, TEXT, BYTES, JSON = range(6)
KIND_NAMES = ("s64", "f64", "boolean", "text", "bytes", "json")


@dataclass(frozen=True)
class Slot:
    """A place in a record. `name` is that of a field (nested ones joined by dots) or a header."""

    place: str
    name: str = ""

    def __str__(self) -> str:
        if self.place == "field":
            return f"`{self.name}`"
        return f"header `{self.name}`" if self.place == "header" else self.place


def path(name: str) -> Slot:
    """A field of another name than the attribute, or a nested one: `Annotated[str, path("card.country")]`."""
    return Slot("field", name)


def header(name: str) -> Slot:
    """A header: `Annotated[bytes, header("trace")]`."""
    return Slot("header", name)


#: The record's key, as text. An output row that sets it gets this key instead of its origin's.
Key = Annotated[str, Slot("key")]
#: The record's key, as it is.
KeyBytes = Annotated[bytes, Slot("key")]
#: Event time in milliseconds since the Unix epoch. An output row may set it.
Time = Annotated[int, Slot("time")]
#: The whole value, undecoded; `Value | None`, where None is a tombstone.
Value = Annotated[bytes, Slot("value")]
#: The source's topic. Read only, as are partition and offset.
Topic = Annotated[str, Slot("topic")]
#: The source's partition.
Partition = Annotated[int, Slot("partition")]
#: The record's offset in its partition.
Offset = Annotated[int, Slot("offset")]

#: Slots that a rule may read and never write.
READ_ONLY = {"topic", "partition", "offset", "window-start", "window-end"}
