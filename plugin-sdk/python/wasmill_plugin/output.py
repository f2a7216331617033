"""Where a rule puts what it has to say."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Container, Generic, Iterable, Sequence, TypeVar

from . import encode
from .fields import Field, writes
from .wire import Answer

O = TypeVar("O")


class PortSpec:
    """A declared output: its name, the type of its rows (none: records are passed on), its fields."""

    def __init__(self, name: str, row: type | None) -> None:
        self.name, self.row, self.fields = name, row, writes(row)


class _Table:
    """Output rows of one form, in order, and the record that each was made from."""

    __slots__ = ("origins", "rows", "columns")

    def __init__(self, origins: list[int], rows: list | None, columns: dict[str, Sequence] | None = None) -> None:
        self.origins, self.rows, self.columns = origins, rows, columns


class Cursor:
    """The record at hand, by its row. Outputs point to it and not to each other: no cycles are left for the collector."""

    __slots__ = ("row",)

    def __init__(self) -> None:
        self.row = 0


class Port(Generic[O]):
    """One output."""

    def __init__(self, index: int, spec: PortSpec, at: Cursor) -> None:
        self._index, self._spec, self._at = index, spec, at
        self._tables: list[_Table] = []
        self._kept: list[int] = []
        self._origins: list[int] = []
        self._rows: list[O] = []

    def emit(self, row: O) -> None:
        """Writes an output row. Key and time are the record's, unless the row's type has them."""
        if self._kept:
            self._close()
        self._origins.append(self._at.row)
        self._rows.append(row)

    def keep(self, rows: Iterable[int] | None = None) -> None:
        """Passes the record at hand on, byte for byte; or, in a rule over columns, the records of these rows."""
        if self._rows:
            self._close()
        if rows is None:
            self._kept.append(self._at.row)
        else:
            self._kept.extend(rows)

    def emit_columns(self, rows: Sequence[int], **columns: Sequence) -> None:
        """Writes one output row for each of `rows` (the record that it was made from), with one value in each column.

        Columns are named as the fields of the output's type. TypeError where one is missing, unknown or of another length.
        """
        self._close()
        self._tables.append(_Table(list(rows), None, columns))

    def _close(self) -> None:
        if self._kept:
            self._tables.append(_Table(self._kept, None))
            self._kept = []
        if self._rows:
            self._tables.append(_Table(self._origins, self._rows))
            self._origins, self._rows = [], []

    def _forget(self, rows: Container[int]) -> None:
        """Takes back what was made from `rows`, the latest that a rule was called for."""
        self._close()
        for table in self._tables:
            if table.columns is not None and table.origins and table.origins[-1] in rows:
                table.origins.clear()
            while table.origins and table.origins[-1] in rows:
                table.origins.pop()
                if table.rows:
                    table.rows.pop()

    def _write(self, answer: Answer) -> int:
        self._close()
        tables = [it for it in self._tables if it.origins]
        for table in tables:
            self._write_table(answer, table)
        return len(tables)

    def _write_table(self, answer: Answer, table: _Table) -> None:
        spec = self._spec
        unchanged = table.rows is None and table.columns is None
        answer.word(self._index, int(unchanged), 0 if unchanged else len(spec.fields))
        try:
            answer.numbers("I", table.origins)
        except (TypeError, OverflowError):
            raise TypeError(f"rows of port `{spec.name}` are numbers of the batch's rows, found {table.origins!r:.80}") from None
        if unchanged:
            return
        if spec.row is None:
            raise TypeError(f"port `{spec.name}` has no row type: declare one, or pass records on with keep()")
        for field in spec.fields:
            encode.column(answer, field, self._column(field, table), spec.row.__name__)

    def _column(self, field: Field, table: _Table) -> Sequence:
        row_type = self._spec.row
        if table.rows is not None:
            try:
                return list(map(attrgetter(field.name), table.rows))
            except AttributeError:
                wrong = next(it for it in table.rows if not hasattr(it, field.name))
                raise TypeError(f"emitted {wrong!r:.80}, expected a {row_type.__name__}") from None
        columns = table.columns or {}
        unknown = columns.keys() - {it.name for it in self._spec.fields}
        if field.name not in columns or unknown:
            expected = ", ".join(it.name for it in self._spec.fields)
            raise TypeError(f"emit_columns got {', '.join(columns)}: a {row_type.__name__} has {expected}")
        values = columns[field.name]
        if len(values) != len(table.origins):
            raise TypeError(f"column `{field.name}` has {len(values)} values for {len(table.origins)} rows")
        return values


class Output(Port[O]):
    """The default output, and the way to the others and to the dead letters."""

    def __init__(self, specs: list[PortSpec]) -> None:
        super().__init__(0, specs[0], Cursor())
        self._others: list[Port] = [Port(index, spec, self._at) for index, spec in enumerate(specs[1:], 1)]
        self._rejects: dict[int, str] = {}

    def to(self, name: str) -> Port[Any]:
        """A side output, by its name."""
        for port in self._ports():
            if port._spec.name == name:
                return port
        raise KeyError(f"no port `{name}`: there are {', '.join(it._spec.name for it in self._ports())}")

    def _ports(self) -> list[Port]:
        return [self, *self._others]

    def reject(self, row: int, reason: str) -> None:
        """In a rule over columns: sends the record of `row` to the dead letters. A rule over records raises `Reject`."""
        self._rejects.setdefault(int(row), str(reason))

    def _refuse(self, reason: str) -> None:
        self._refuse_rows((self._at.row,), reason)

    def _refuse_rows(self, rows: Sequence[int], reason: str) -> None:
        for port in self._ports():
            port._forget(rows)
        for row in rows:
            self.reject(row, reason)

    def _answer(self, answer: Answer) -> None:
        at = len(answer.words)
        answer.word(0, len(self._rejects))
        answer.words[at] = sum(port._write(answer) for port in self._ports())
        if self._rejects:
            rows = sorted(self._rejects)
            answer.numbers("I", rows)
            answer.blobs += [self._rejects[it] for it in rows]
