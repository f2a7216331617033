"""Says what a plugin does not get, by name, where the component would only trap.

A component has no files, sockets, environment or threads. Modules are loaded and files read while it is built, and the result is what
the component starts with; from the first call on `seal` refuses with a PermissionError. What gets past it traps.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
import threading
import time
from typing import Any, Callable, NoReturn

#: Capabilities, and the beginnings of the audit events that stand for them.
_EVENTS = {
    "files are": ("open", "os.chdir", "os.chmod", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
                  "os.scandir", "os.symlink", "os.truncate", "os.utime", "os.walk", "shutil.", "tempfile.", "glob.", "sqlite3."),
    "sockets are": ("socket.", "urllib.", "http.", "smtplib.", "ftplib.", "ssl."),
    "processes are": ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "pty."),
    "environment variables are": ("os.putenv", "os.unsetenv"),
}  # fmt: skip

#: Functions that ask the system without an audit event.
_FILE_FUNCTIONS = ("stat", "lstat", "access", "getcwd", "getcwdb", "readlink", "fstat", "statvfs")


def _refuse(what: str, how: str = "") -> NoReturn:
    raise PermissionError(f"{what} not available to a plugin" + (f": {how}" if how else ""))


def _audit(event: str, arguments: tuple) -> None:
    if "." not in event and event != "open":
        return
    for what, events in _EVENTS.items():
        for begin in events:
            if event == begin or begin[-1] == "." and event.startswith(begin):
                first = f" {arguments[0]!r:.100}" if arguments and isinstance(arguments[0], (str, bytes)) else ""
                _refuse(what, event + first)


class _Environment(dict):
    """Refuses to be read: an empty environment would be taken for a real one."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("environment variables are")

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse  # type: ignore[assignment]
    get = keys = values = items = pop = setdefault = copy = update = _refuse  # type: ignore[assignment]


class _NoMoreModules:
    """The last finder: what was not loaded when the component was built is not in it."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> NoReturn:
        message = f"module `{name}` is not in the component: import it at the top of a module, so that it is loaded at build time"
        raise ModuleNotFoundError(message, name=name)


class _Lines:
    """Standard output or error as lines of the host's log."""

    encoding, errors, closed = "utf-8", "replace", False

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._rest = write, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._write(line)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def install_streams(info: Callable[[str], None], error: Callable[[str], None]) -> None:
    """What is printed goes to the log."""
    sys.stdout, sys.stderr = _Lines(info), _Lines(error)  # type: ignore[assignment]
    sys.stdin = None  # type: ignore[assignment]


def seal() -> None:
    """Refuses from here on, for good. Only in the component: it cannot be undone."""
    sys.addaudithook(_audit)
    for name in _FILE_FUNCTIONS:
        if hasattr(os, name):
            setattr(os, name, lambda *_, name=name, **__: _refuse("files are", f"os.{name}"))
    time.sleep = lambda *_: _refuse("sleeping is", "time.sleep")
    builtins.input = lambda *_: _refuse("standard input is", "input")
    threading.Thread.start = lambda *_: _refuse("threads are", "Thread.start")  # type: ignore[method-assign]
    if subprocess := sys.modules.get("subprocess"):
        subprocess.Popen.__init__ = lambda *_, **__: _refuse("processes are", "subprocess.Popen")  # type: ignore[attr-defined]
    os.environ = os.environb = _Environment()  # type: ignore[assignment]
    os.getenv = os.environ._refuse  # type: ignore[attr-defined]
    sys.meta_path[:] = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, _NoMoreModules]
