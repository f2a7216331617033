"""Bringing stored state of an older version to the current one."""

from __future__ import annotations

import json
from typing import Any, Callable

from . import encode
from .faults import NoMigration
from .plugin import Rule
from .state import Codec, strings
from .wire import Answer, Request


class Migrating:
    """A plugin whose state has versions."""

    codec: Codec
    state_version: int
    _migration: Rule | None = None

    def migrate(self, function: Callable) -> Callable:
        """Names how a state of an older version becomes one of the current: `def migrate(version: int, state: dict) -> Activity`.

        It gets the version and what json.loads makes of the state, or its bytes where that parameter is of `bytes`. What it raises stops
        the deployment.
        """
        self._migration = Rule(function, ("state",))
        return function

    def migrate_states(self, request: Request, answer: Answer) -> None:
        """Answers stored states of an older version."""
        version = request.word()
        offsets = request.word()
        data = request.word()
        old = request.take(offsets)
        states = strings(request.take(data), old)
        rule = self._migration
        if rule is None:
            raise NoMigration(f"no migration from state version {version}")
        read: Callable[[bytes], Any] = bytes if rule.hints.get("state") is bytes else json.loads
        new = [self.codec.encode(rule.function(version, read(it))) for it in states]
        answer.blobs += encode.bytes_blobs(new)
