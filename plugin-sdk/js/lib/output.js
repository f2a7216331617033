// What a rule says about a batch: rows for its ports, records passed on, records refused.

import { PortTable } from './table.js';

/** The ports of a definition: one of `emits`, several of `ports`, or the one of a filter. Port 0 is the default output. */
export function portsOf({ emits, ports }, fieldsOf) {
  if (emits !== undefined && ports !== undefined) throw new TypeError('expected `emits` (one output) or `ports` (several), found both');
  const declared = Object.entries(ports ?? { out: emits ?? {} });
  if (declared.length === 0) throw new TypeError('`ports` names no port; expected at least one');
  // `{}` is a port of records passed on as they are.
  return declared.map(([name, fields], index) => ({ name, index, fields: fieldsOf(fields, name) }));
}

/** Where the rows of one batch go, record by record. A new one for each call. */
export class Output {
  constructor(ports) {
    this.origin = 0;
    this.tables = ports.map((it) => new PortTable(it));
    this.main = this.tables[0];
    this.rejected = new Map();
    /** The ports by name, to emit to and to pass to. */
    this.ports = Object.fromEntries(this.tables.map((table) => [table.port.name, new Port(this, table)]));
  }

  /** Emits a row made from this record to the default output. It has the record's key and time unless it sets its own. */
  emit(row) {
    this.main.emit(this.origin, row);
  }

  /** Passes this record on as it is, byte for byte, to the default output. */
  pass() {
    this.main.pass(this.origin);
  }

  /** Refuses this record, and takes back what was emitted for it. */
  reject(reason) {
    for (const table of this.tables) table.forget(this.origin);
    if (!this.rejected.has(this.origin)) this.rejected.set(this.origin, String(reason));
  }

  /** The answer as the boundary has it. */
  finish() {
    return {
      tables: this.tables.flatMap((it) => it.tables()),
      rejects: Array.from(this.rejected, ([row, reason]) => ({ row, reason })),
    };
  }
}

/** A port of an output that goes record by record. */
class Port {
  #out;
  #table;

  constructor(out, table) {
    this.#out = out;
    this.#table = table;
  }

  emit(row) {
    this.#table.emit(this.#out.origin, row);
  }

  pass() {
    this.#table.pass(this.#out.origin);
  }
}

/** Where the rows of one batch go, as columns. */
export class BatchOutput {
  constructor(ports) {
    this.tables = ports.map((it) => new PortTable(it));
    this.rejected = new Map();
    this.ports = Object.fromEntries(this.tables.map((table) => [table.port.name, new BatchPort(table)]));
    this.main = this.ports[ports[0].name];
  }

  /** Passes the records of `rows` on as they are, to the default output. */
  keep(rows) {
    this.main.keep(rows);
  }

  /** Emits a row for each of `rows`, to the default output: `columns` has as many values for each field. */
  emit(rows, columns) {
    this.main.emit(rows, columns);
  }

  /** Refuses the record of `row`. What was emitted for it stays; leave it out. */
  reject(row, reason) {
    if (!this.rejected.has(row)) this.rejected.set(row, String(reason));
  }
}

BatchOutput.prototype.finish = Output.prototype.finish;

class BatchPort {
  #table;

  constructor(table) {
    this.#table = table;
  }

  keep(rows) {
    this.#table.keep(rows);
  }

  emit(rows, columns) {
    this.#table.emitColumns(rows, columns);
  }
}
