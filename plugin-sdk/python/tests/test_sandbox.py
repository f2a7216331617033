"""The sandbox and the virtual clock, in processes of their own: they cannot be undone."""

import os
import subprocess
import sys

import pytest

SEALED = "import sys, encodings.idna; from wasmill_plugin import sandbox; import socket, subprocess, threading, time, os, pathlib; sandbox.seal()\n"


def output(source):
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__)), "PYTHONHASHSEED": "0"}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        ("open('/etc/passwd')", "files are not available to a plugin: open '/etc/passwd'"),
        ("os.listdir('.')", "files are not available to a plugin: os.listdir '.'"),
        ("os.stat('.')", "files are not available to a plugin: os.stat"),
        ("pathlib.Path('x').read_text()", "files are not available to a plugin: open 'x'"),
        ("socket.create_connection(('localhost', 1))", "sockets are not available to a plugin: socket.getaddrinfo 'localhost'"),
        ("socket.socket()", "sockets are not available to a plugin: socket.__new__"),
        ("os.environ['HOME']", "environment variables are not available to a plugin"),
        ("os.environ.get('HOME')", "environment variables are not available to a plugin"),
        ("os.getenv('HOME')", "environment variables are not available to a plugin"),
        ("subprocess.run(['ls'])", "processes are not available to a plugin: subprocess.Popen"),
        ("threading.Thread(target=print).start()", "threads are not available to a plugin: Thread.start"),
        ("time.sleep(1)", "sleeping is not available to a plugin: time.sleep"),
        ("input()", "standard input is not available to a plugin: input"),
    ],
)
def test_what_a_plugin_does_not_get_is_named(attempt, message):
    source = SEALED + f"try:\n    {attempt}\nexcept PermissionError as error:\n    sys.stdout.write(str(error))\n"
    assert output(source) == message


def test_a_module_that_was_not_loaded_in_time_is_named():
    source = SEALED + "try:\n    import wave\nexcept ModuleNotFoundError as error:\n    sys.stdout.write(str(error))\n"
    assert output(source).startswith("module `wave` is not in the component: import it at the top of a module")


VIRTUAL = """
from wasmill_plugin import virtual
virtual.install()
import datetime, random, time, uuid
from dataclasses import dataclass
from wasmill_plugin import Output, Time, transform
from wasmill_plugin.testing import Row, TransformTest

@dataclass
class Event:
    id: int
    at: Time

@dataclass
class Seen:
    id: int
    now: float
    date: str
    numbers: list[float]
    name: str

@transform(output=Seen)
def look(event: Event, out: Output):
    assert isinstance(datetime.datetime.now(), datetime.datetime) and time.monotonic() < time.monotonic()
    date = datetime.datetime.now(datetime.timezone.utc).isoformat()
    numbers = [random.random(), random.randint(0, 9), random.choice([1, 2, 3]), random.Random().random(), random.Random(4).random()]
    out.emit(Seen(event.id, time.time(), date, numbers, str(uuid.uuid4())))

rows = [Row({"id": it}, time=it * 1000) for it in range(4)]
whole = TransformTest(look).run(rows)
"""


def test_clock_and_randomness_depend_on_the_record_alone():
    source = VIRTUAL + (
        "parts = [TransformTest(look).run([row]).rows()[0] for row in reversed(rows)]\n"
        "assert parts[::-1] == whole.rows(), (parts, whole.rows())\n"
        "assert len({str(it['numbers']) for it in parts}) == 4\n"
        "print(whole.rows()[1]['now'], whole.rows()[1]['date'])"
    )
    assert output(source) == "1.000005 1970-01-01T00:00:01.000004+00:00"
    assert output(VIRTUAL + "print(whole)") == output(VIRTUAL + "print(whole)")


def test_what_is_printed_becomes_lines():
    source = (
        "from wasmill_plugin import sandbox\nlines = []\nimport sys\nreal = sys.stdout\n"
        "sandbox.install_streams(lines.append, lines.append)\nprint('a', end='')\nprint('b')\nprint('c\\nd')\n"
        "real.write(repr(lines))"
    )
    assert output(source) == "['ab', 'c', 'd']"
