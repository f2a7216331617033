"""Requests as they come and answers as they go: see `wit/python.wit` for the format.

Numbers travel as bytes because each number of a list would be an object of its own, made at some 290 ns.
"""

from __future__ import annotations

from array import array

#: No watermark yet.
NO_WATERMARK = -(2**63)


class Request:
    """A request, read front to back."""

    __slots__ = ("data", "words", "at", "word_at")

    def __init__(self, data: bytes) -> None:
        self.data = data
        end = 4 + 4 * int.from_bytes(data[:4], "little")
        self.words = memoryview(data)[4:end].cast("I").tolist()
        self.word_at = 0
        self.at = end

    def word(self) -> int:
        self.word_at += 1
        return self.words[self.word_at - 1]

    def take(self, length: int) -> bytes:
        start = self.at
        self.at = start + length
        return self.data[start : self.at]

    def blob(self) -> bytes:
        return self.take(self.word())

    def numbers(self) -> array:
        return array("I", self.blob())


class Answer:
    """An answer, written front to back: words apart from the blobs, which are strings."""

    __slots__ = ("words", "blobs")

    def __init__(self) -> None:
        self.words: list[int] = []
        self.blobs: list[str] = []

    def word(self, *words: int) -> None:
        self.words.extend(words)

    def text(self, text: str) -> None:
        self.blobs.append(text)

    def raw(self, data: bytes) -> None:
        # A returned byte string would never be freed in the component, a string is.
        self.blobs.append(data.decode("latin-1"))

    def numbers(self, typecode: str, numbers) -> None:
        self.raw(array(typecode, numbers).tobytes())

    def finish(self) -> list[str]:
        return [array("I", self.words).tobytes().decode("latin-1"), *self.blobs]
