// From an author's values to a column of the boundary, each value checked against its field.

import { ofByteStrings, ofJson, ofTexts } from './strings.js';
import { Picked } from './views.js';

const NOTHING = new Uint8Array(0);

/**
 * `values`, one for each of `rows` rows, as a column of `field`; undefined is null. `wrong(row, found, expected)` is called for one that does not fit, and
 * throws; its row is undefined where it is the column that does not.
 */
export function columnOf(field, values, rows, wrong) {
  if (values instanceof Picked) {
    if (values.kind !== field.wire) wrong(undefined, `a column of kind ${values.kind}`, `kind ${field.wire}`);
    return { values: { tag: field.wire, val: values.values }, nulls: values.nulls };
  }
  if (values?.length !== rows) wrong(undefined, `${values?.length ?? 'no'} values`, `${rows}, one for each row`);
  const bulk = BULK[field.kind];
  if (bulk !== undefined && values instanceof bulk) return { values: { tag: field.wire, val: values }, nulls: NOTHING };
  const nulls = nullsOf(field, values, wrong);
  return { values: { tag: field.wire, val: MAKE[field.kind](values, wrong) }, nulls };
}

/** Typed arrays that are columns as they are. */
const BULK = { f64: Float64Array, s64: BigInt64Array, bigint: BigInt64Array };

function nullsOf(field, values, wrong) {
  // Searched for natively; a loop is only for columns that have nulls.
  if (!Array.isArray(values) || (values.indexOf(null) < 0 && !values.includes(undefined))) return NOTHING;
  const nulls = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at++) {
    if (values[at] !== null && values[at] !== undefined) continue;
    if (field.required) wrong(at, String(values[at]), `${EXPECTED[field.kind]}, or declare the field as '${field.kind}?'`);
    nulls[at] = 1;
  }
  return nulls;
}

const EXPECTED = {
  f64: 'a number',
  s64: 'a whole number up to 2^53',
  bigint: 'a bigint of 64 bits',
  boolean: 'true or false',
  text: 'text',
  bytes: 'a Uint8Array',
  json: 'a value that JSON can hold',
};

/** For each kind: values to the boundary's list. What is null has been found fit to be null. */
const MAKE = {
  f64(values, wrong) {
    const made = new Float64Array(values.length);
    for (let at = 0; at < made.length; at++) {
      const value = values[at];
      if (typeof value === 'number') made[at] = value;
      else if (value !== null && value !== undefined) wrong(at, shown(value), EXPECTED.f64);
    }
    return made;
  },
  s64(values, wrong) {
    const made = new BigInt64Array(values.length);
    const halves = new Int32Array(made.buffer);
    for (let at = 0; at < values.length; at++) {
      const value = values[at];
      // Most are small: their upper half is 0, and no bigint has to be made.
      if (typeof value === 'number' && value >= 0 && value <= 0x7fffffff && value % 1 === 0) halves[at * 2] = value;
      else if (Number.isSafeInteger(value)) made[at] = BigInt(value);
      else if (value !== null && value !== undefined) wrong(at, shown(value), EXPECTED.s64);
    }
    return made;
  },
  bigint(values, wrong) {
    const made = new BigInt64Array(values.length);
    for (let at = 0; at < made.length; at++) {
      const value = values[at];
      if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) made[at] = value;
      else if (value !== null && value !== undefined) wrong(at, shown(value), EXPECTED.bigint);
    }
    return made;
  },
  boolean(values, wrong) {
    const made = new Uint8Array(values.length);
    for (let at = 0; at < made.length; at++) {
      const value = values[at];
      if (typeof value === 'boolean') made[at] = value ? 1 : 0;
      else if (value !== null && value !== undefined) wrong(at, shown(value), EXPECTED.boolean);
    }
    return made;
  },
  text: (values, wrong) => ofTexts(values, (at) => wrong(at, shown(values[at]), EXPECTED.text)),
  bytes: (values, wrong) => ofByteStrings(values, (at) => wrong(at, shown(values[at]), EXPECTED.bytes)),
  json: (values, wrong) => ofJson(values, (at) => wrong(at, shown(values[at]), EXPECTED.json)),
};

function shown(value) {
  if (typeof value === 'string') return `text ${JSON.stringify(value.slice(0, 60))}`;
  if (typeof value === 'object' || typeof value === 'function') return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  return `${typeof value} ${String(value)}`;
}
