// What a rule says about a batch: rows for its ports, records passed on, records refused. One object serves batch after batch.

import { PortTable } from './table.js';

/** The ports of a definition: one of `emits`, several of `ports`, or the one of a filter. Port 0 is the default output. */
export function portsOf({ emits, ports }, fieldsOf) {
  if (emits !== undefined && ports !== undefined) throw new TypeError('expected `emits` (one output) or `ports` (several), found both');
  const declared = Object.entries(ports ?? { out: emits ?? {} });
  if (declared.length === 0) throw new TypeError('`ports` names no port; expected at least one');
  // `{}` is a port of records passed on as they are.
  return declared.map(([name, given], index) => {
    const fields = fieldsOf(given, name);
    return { name, index, fields, names: new Set(fields.map((it) => it.name)) };
  });
}

/** The answer as the boundary has it. */
function produced(tables, rejected) {
  const rejects = rejected.size === 0 ? [] : Array.from(rejected, ([row, reason]) => ({ row, reason }));
  return { tables: tables.length === 1 ? tables[0].tables() : tables.flatMap((it) => it.tables()), rejects };
}

/** Where the rows of one batch go, record by record: a table of the default port, and those of the others. */
export class Output extends PortTable {
  #tables;
  #rejected = new Map();

  constructor(ports) {
    super(ports[0]);
    /** The input row at hand. */
    this.origin = 0;
    this.#tables = ports.map((it, index) => (index === 0 ? this : new SideOutput(it, this)));
    /** The ports by name, to emit to and to pass to. */
    this.ports = Object.fromEntries(this.#tables.map((it) => [it.port.name, it]));
  }

  /** Begins a batch. */
  begin() {
    this.#rejected.clear();
    for (const it of this.#tables) it.clear();
  }

  /** Refuses this record, and takes back what was emitted for it. */
  reject(reason) {
    for (const it of this.#tables) it.forget(this.origin);
    if (!this.#rejected.has(this.origin)) this.#rejected.set(this.origin, String(reason));
  }

  /** Ends the batch. */
  finish() {
    return produced(this.#tables, this.#rejected);
  }
}

/** Another port of an output. */
class SideOutput extends PortTable {
  #out;

  constructor(port, out) {
    super(port);
    this.#out = out;
  }

  get origin() {
    return this.#out.origin;
  }
}

/** Where the rows of one batch go, as columns. */
export class BatchOutput {
  #tables;
  #rejected = new Map();

  constructor(ports) {
    this.#tables = ports.map((it) => new PortTable(it));
    this.ports = Object.fromEntries(this.#tables.map((it) => [it.port.name, new BatchPort(it)]));
  }

  /** Begins a batch. */
  begin() {
    this.#rejected.clear();
    for (const it of this.#tables) it.clear();
  }

  /** Passes the records of `rows` on as they are, to the default output. */
  keep(rows) {
    this.#tables[0].keep(rows);
  }

  /** Emits a row for each of `rows`, to the default output: `columns` has as many values for each field. */
  emit(rows, columns) {
    this.#tables[0].emitColumns(rows, columns);
  }

  /** Refuses the record of `row`. What was emitted for it stays; leave it out. */
  reject(row, reason) {
    if (!this.#rejected.has(row)) this.#rejected.set(row, String(reason));
  }

  /** Ends the batch. */
  finish() {
    return produced(this.#tables, this.#rejected);
  }
}

/** A port of an output that goes by columns. */
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
