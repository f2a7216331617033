// Columns of a batch as an author reads them. Nothing is decoded before it is asked for: a column that a rule does not look at costs
// what its bytes cost to be handed over.

import { Reject } from './reject.js';
import { bytesAt, pick, textAt, textOf } from './strings.js';

const TWO_32 = 4294967296;
const NOTHING = new Uint8Array(0);

/** What all columns have: which rows are null. One object serves batch after batch: in a call of an interpreter, making objects is what costs. */
class View {
  constructor(field) {
    this.field = field;
  }

  /** Shows `column` from now on. */
  bind(column) {
    this.wire = column.values.val;
    /** One byte a row, 1 for null; null where no row is. */
    this.nulls = column.nulls.length === 0 ? null : column.nulls;
  }

  /** Whether row `row` has no value. */
  isNull(row) {
    return this.nulls !== null && this.nulls[row] === 1;
  }

  /** The rows named, ascending, as a column for `out.emit`: copied, not decoded. */
  pick(rows) {
    return new Picked(this.field.wire, this.pickValues(rows), this.nulls === null ? NOTHING : gather(new Uint8Array(rows.length), this.nulls, rows));
  }

  pickValues(rows) {
    return gather(new this.wire.constructor(rows.length), this.wire, rows);
  }
}

/** A column of the boundary, ready to be handed back. */
export class Picked {
  constructor(kind, values, nulls) {
    this.kind = kind;
    this.values = values;
    this.nulls = nulls;
  }
}

function gather(into, from, rows) {
  for (let at = 0; at < rows.length; at++) into[at] = from[rows[at]];
  return into;
}

/** Kind f64: `values` is a `Float64Array`, 0 where a row is null. */
class FloatView extends View {
  get values() {
    return this.wire;
  }

  at(row) {
    return this.isNull(row) ? null : this.wire[row];
  }
}

/** Kind boolean: `values` is a `Uint8Array` of 0 and 1. */
class BooleanView extends View {
  get values() {
    return this.wire;
  }

  at(row) {
    return this.isNull(row) ? null : this.wire[row] === 1;
  }
}

/** Kind bigint: `values` is a `BigInt64Array`. */
class BigintView extends View {
  get values() {
    return this.wire;
  }

  at(row) {
    return this.isNull(row) ? null : this.wire[row];
  }
}

/** Kind s64 as numbers. A value that a number does not hold exactly refuses its record. */
class IntegerView extends View {
  bind(column) {
    super.bind(column);
    // Halves, since a bigint for each row would cost more than the rule.
    this.high = new Int32Array(this.wire.buffer, this.wire.byteOffset, this.wire.length * 2);
    this.low = new Uint32Array(this.wire.buffer, this.wire.byteOffset, this.wire.length * 2);
  }

  at(row) {
    if (this.nulls !== null && this.nulls[row] === 1) return null;
    const number = this.high[row * 2 + 1] * TWO_32 + this.low[row * 2];
    if (!Number.isSafeInteger(number)) {
      throw new Reject(`\`${this.field.name}\` is ${this.wire[row]}: too large for a number of JavaScript; the plugin must read it as bigint`);
    }
    return number;
  }
}

/** Kinds text, bytes and json: `at` decodes one row. */
class StringsView extends View {
  bind(column) {
    super.bind(column);
    this.lastRow = -1;
  }

  at(row) {
    // A rule often looks at a field more than once.
    if (row === this.lastRow) return this.last;
    this.last = this.nulls !== null && this.nulls[row] === 1 ? null : this.decode(row);
    this.lastRow = row;
    return this.last;
  }

  pickValues(rows) {
    return pick(this.wire, rows);
  }
}

class TextView extends StringsView {
  decode(row) {
    return textAt(this.wire, row);
  }
}

class BytesView extends StringsView {
  decode(row) {
    return bytesAt(this.wire, row);
  }
}

class JsonView extends StringsView {
  decode(row) {
    return JSON.parse(textAt(this.wire, row));
  }

  /** The value's text as the record has it. */
  textAt(row) {
    return this.isNull(row) ? null : textAt(this.wire, row);
  }
}

const VIEWS = { f64: FloatView, s64: IntegerView, bigint: BigintView, boolean: BooleanView, text: TextView, bytes: BytesView, json: JsonView };

/** A view for each of `fields`. */
export const viewsOf = (fields) => fields.map((field) => new VIEWS[field.kind](field));

/** Shows the columns of `batch`, the first of which are those of `views`. */
export function bindAll(views, batch) {
  for (let at = 0; at < views.length; at++) views[at].bind(batch.columns[at]);
}

/** The bytes of each key of `column`, empty for the null key, whichever kind the author reads keys as. */
export function keysOf(column) {
  return { bytesAt: (row) => bytesAt(column.values.val, row), textAt: (row) => textOf(bytesAt(column.values.val, row)) };
}

/** A batch as `processBatch` gets it; valid until the rule returns. */
export class Batch {
  #views;
  #wire;

  constructor(fields) {
    this.#views = viewsOf(fields);
    /** How many rows. */
    this.rows = 0;
    /** A column for each field read, by the author's name. */
    this.columns = Object.fromEntries(fields.map((field, at) => [field.name, this.#views[at]]));
  }

  /** Shows `wire` from now on. */
  bind(wire) {
    this.#wire = wire;
    this.rows = wire.rows;
    bindAll(this.#views, wire);
    return this;
  }

  /** No record on time is older than this, ms since the Unix epoch; null before the first watermark. */
  get watermark() {
    return watermarkOf(this.#wire);
  }
}

const NO_WATERMARK = -(2n ** 63n);

/** The watermark of a batch as a number, null before the first one. */
export const watermarkOf = ({ watermark }) => (watermark === NO_WATERMARK ? null : Number(watermark));
