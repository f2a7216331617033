"""Tries what a plugin may not, and fails in the ways that Python can: one for each `try` of a record."""

import os
import random
import socket
import time
from dataclasses import dataclass
from typing import Annotated

from wasmill_plugin import Output, path, transform


@dataclass
class Attempt:
    what: Annotated[str, path("try")]


@dataclass
class Answer:
    what: Annotated[str, path("try")]
    answer: str


def raised() -> str:
    raise ValueError("cannot go on with 5")


KEPT = []


def keep(what: str) -> str:
    KEPT.append(what)
    return "kept"


TRIES = {
    "read": lambda: open("/etc/passwd").read(),
    "socket": lambda: str(socket.create_connection(("127.0.0.1", 1))),
    "environment": lambda: os.environ["HOME"],
    "clock": lambda: str(time.time()),
    "random": lambda: str(random.random()),
    "raise": raised,
    "divide": lambda: str(7 // len("")),
    "index": lambda: "ab"[5],
}


@transform(name="probe", output=Answer)
def rule(attempt: Attempt, out: Output[Answer]):
    """Tries it, and writes what came of it."""
    if attempt.what.startswith("keep "):
        tried = keep(attempt.what)
    else:
        tried = TRIES.get(attempt.what, lambda: "nothing")()
    out.emit(Answer(attempt.what, tried))
