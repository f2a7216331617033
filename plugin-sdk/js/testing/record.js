// Records for a test, and the columns that the host would make of them.

const encoder = new TextEncoder();

/** A record for a test: its value, and what a broker keeps beside it. */
export class TestRecord {
  constructor(value, { key, time = 0, headers = {}, topic = '', partition = 0, offset = 0 } = {}) {
    this.value = value;
    this.key = key === undefined ? null : bytesOf(key);
    Object.assign(this, { time, headers, topic, partition, offset });
  }
}

/** A record of this value, with what else a test says: key, time (ms), headers, topic, partition, offset. */
export const record = (value, beside) => new TestRecord(value, beside);

/** A plain value is a record with nothing beside it. */
export const toRecord = (it) => (it instanceof TestRecord ? it : new TestRecord(it));

/** Text or bytes, as bytes. */
export const bytesOf = (it) => (typeof it === 'string' ? encoder.encode(it) : it);

/**
 * Why the host would dead-letter the record before a plugin that reads `fields` sees it, in the host's words. It asks only of fields of the value; what is
 * not required and of another kind is null.
 */
export function misfit(it, fields) {
  for (const { slot, kind, required } of fields) {
    if (!required || slot.tag !== 'field') continue;
    if (it.value === null) return `field \`${slot.val}\` is missing: the record is a tombstone, expected ${kind}`;
    const found = atPath(it.value, slot.val);
    if (found === undefined) return `field \`${slot.val}\` is missing`;
    if (jsonCell(found, kind) === null) return `field \`${slot.val}\` is ${shown(found)}, expected ${kind}`;
  }
  return undefined;
}

/** A value as the host shows it: the beginning of its JSON. */
function shown(value) {
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** The columns of `fields` for `records`, which all fit. */
export function batchOf(records, fields, watermark) {
  const columns = fields.map((field) => columnOf(field.kind, records.map((it) => cellOf(it, field))));
  return { rows: records.length, columns, watermark };
}

/** Rows that stand for keys and times, not for records: `filled(slot, row)` is what a field holds, null for most. */
export function batchOfKeys(rows, fields, watermark, filled) {
  const columns = fields.map(({ slot, kind }) => columnOf(kind, Array.from({ length: rows }, (_, row) => filled(slot, row) ?? null)));
  return { rows, columns, watermark };
}

/** A column of byte strings, null where there is none. */
export const bytesColumn = (parts) => columnOf('bytes', parts);

function cellOf(it, { slot, kind }) {
  switch (slot.tag) {
    case 'field':
      return jsonCell(atPath(it.value, slot.val), kind);
    case 'value':
      return it.value === null ? null : encoder.encode(JSON.stringify(it.value));
    case 'key':
      return it.key;
    case 'header':
      return it.headers[slot.val] === undefined ? null : bytesOf(it.headers[slot.val]);
    case 'time':
    case 'partition':
    case 'offset':
      return BigInt(it[slot.tag]);
    case 'topic':
      return encoder.encode(it.topic);
    default:
      return null;
  }
}

/** The value at a path of names joined by dots; undefined when there is none. */
const atPath = (value, path) => path.split('.').reduce((it, name) => (typeof it === 'object' && it !== null ? it[name] : undefined), value);

/** The value as one of this kind; null where it is none. */
function jsonCell(value, kind) {
  if (value === undefined || value === null) return null;
  switch (kind) {
    case 's64':
      return Number.isInteger(value) || typeof value === 'bigint' ? BigInt(value) : null;
    case 'f64':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'json':
      return encoder.encode(JSON.stringify(value));
    default:
      return typeof value === 'string' ? encoder.encode(value) : null;
  }
}

function columnOf(kind, cells) {
  const nulls = cells.includes(null) ? Uint8Array.from(cells, (it) => (it === null ? 1 : 0)) : new Uint8Array(0);
  const numbers = { s64: [BigInt64Array, 0n], f64: [Float64Array, 0], boolean: [Uint8Array, 0] }[kind];
  if (numbers) return { values: { tag: kind, val: numbers[0].from(cells, (it) => it ?? numbers[1]) }, nulls };
  const offsets = new Uint32Array(cells.length + 1);
  cells.forEach((it, at) => (offsets[at + 1] = offsets[at] + (it?.length ?? 0)));
  const data = new Uint8Array(offsets[cells.length]);
  cells.forEach((it, at) => it && data.set(it, offsets[at]));
  return { values: { tag: kind, val: { offsets, data } }, nulls };
}
