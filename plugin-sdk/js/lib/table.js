// The rows of one port, as an author emits them, until they become columns.

import { columnOf } from './column.js';

/**
 * Rows of one port, in order. Records passed on and rows emitted lie in tables of their own, so a port that mixes the two starts a table at
 * each change. A subclass says which input row is at hand: `origin`.
 */
export class PortTable {
  /** `port` is one of `portsOf`. */
  constructor(port) {
    this.port = port;
    this.clear();
  }

  /** Drops all rows. */
  clear() {
    this.finished = [];
    this.#start(true);
  }

  /** Adds the record at hand as it is, byte for byte. */
  pass() {
    if (!this.unchanged) this.#seal(true);
    this.origins.push(this.origin);
  }

  /** Adds a row made from the record at hand: an object with a value for each field. It has the record's key and time unless it sets its own. */
  emit(row) {
    const { fields } = this.port;
    if (this.unchanged) this.#seal(false);
    const { columns, origins } = this;
    if (origins.length === 0) checkNames(row, this.port);
    for (let at = 0; at < fields.length; at++) columns[at].push(row[fields[at].name]);
    origins.push(this.origin);
  }

  /** Adds input rows as they are. */
  keep(rows) {
    this.#seal(true);
    this.finished.push({ unchanged: true, origins: rows, columns: [] });
  }

  /** Adds rows as columns: a list, a typed array or a picked column for each field. */
  emitColumns(origins, columns) {
    this.#seal(true);
    checkNames(columns, this.port);
    this.finished.push({ unchanged: false, origins, columns: this.port.fields.map(({ name }) => columns[name]) });
  }

  /** Takes back what was made from `origin`, the last input row that anything was made from. */
  forget(origin) {
    for (;;) {
      let rows = this.origins.length;
      while (rows > 0 && this.origins[rows - 1] === origin) rows--;
      this.origins.length = rows;
      for (const column of this.columns) column.length = Math.min(column.length, rows);
      if (rows > 0 || this.finished.length === 0) return;
      Object.assign(this, this.finished.pop()); // The record changed the table: what came before it ends an earlier one.
    }
  }

  /** The tables as the boundary has them. A value that does not fit its field throws. */
  tables() {
    this.#seal(true);
    return this.finished.map(({ unchanged, origins, columns }) => ({
      port: this.port.index,
      origins: origins instanceof Uint32Array ? origins : new Uint32Array(origins),
      body: unchanged ? { tag: 'unchanged' } : { tag: 'columns', val: this.#columns(columns, origins) },
    }));
  }

  /** Starts a table: of records passed on, or of rows. */
  #start(unchanged) {
    this.unchanged = unchanged;
    this.origins = [];
    this.columns = unchanged ? [] : this.port.fields.map(() => []);
  }

  /** Ends the table; the next one is of the other sort. */
  #seal(unchanged) {
    if (this.origins.length > 0) this.finished.push({ unchanged: this.unchanged, origins: this.origins, columns: this.columns });
    this.#start(unchanged);
  }

  #columns(columns, origins) {
    const { name, fields } = this.port;
    return fields.map((field, index) =>
      columnOf(field, columns[index], origins.length, (at, found, expected) => {
        const row = at === undefined ? '' : ` of the row made from record ${origins[at]}`;
        throw new TypeError(`port \`${name}\`, field \`${field.name}\`${row}: expected ${expected}, found ${found}`);
      }),
    );
  }
}

/** A name that no field has is a slip that would otherwise become a null. */
function checkNames(row, { name, fields, names }) {
  if (typeof row !== 'object' || row === null) throw new TypeError(`port \`${name}\`: expected an object with its fields, found ${typeof row}`);
  const keys = Object.keys(row);
  for (let at = 0; at < keys.length; at++) {
    if (names.has(keys[at])) continue;
    const known = fields.map((it) => `\`${it.name}\``).join(', ');
    throw new TypeError(`port \`${name}\` has no field \`${keys[at]}\`; its fields are ${known || 'none: it passes records on'}`);
  }
}
