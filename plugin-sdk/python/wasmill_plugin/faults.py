"""An exception in one line: its type, its message, and where in the author's code it came from."""

from __future__ import annotations

import os

from .reject import Reject
from .values import Mismatch

_SDK = os.path.dirname(__file__) + "/"
_STDLIB = os.path.dirname(os.__file__) + "/"


class NoMigration(LookupError):
    """State of this version cannot be brought to the plugin's own: the answer to a question, and nobody's fault."""


def describe(error: BaseException, root: str = "") -> str:
    """What the host is told of `error`: `ValueError: bad amount (rule.py:12, in rules)`. Paths are shown from `root`."""
    if isinstance(error, (Mismatch, NoMigration, Reject)):
        return str(error)
    line = _one(error, root)
    cause = error.__cause__
    return f"{line}; caused by {_one(cause, root)}" if cause else line


def _one(error: BaseException, root: str) -> str:
    message = str(error)
    kind = type(error).__name__
    text = f"{kind}: {message}" if message else kind
    place = _place(error, root)
    return f"{text} ({place})" if place else text


def _place(error: BaseException, root: str) -> str:
    """The innermost line of the author's; without one, the innermost of all but this package."""
    own = other = ""
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        file = code.co_filename
        if not file.startswith(_SDK) and not file.startswith("<"):
            shown = file.removeprefix(root).lstrip("/") if root else file
            place = f"{shown}:{trace.tb_lineno}, in {code.co_name}"
            if root and file.startswith(root) and not file.startswith(_STDLIB) and "/site-packages/" not in file:
                own = place
            other = place
        trace = trace.tb_next
    return own or other
