// Fields: what a rule reads of a record and what it writes, as an author declares them.

/** Kinds as authors write them, and as the boundary has them. */
const WIRE = { f64: 'f64', s64: 's64', bigint: 's64', boolean: 'boolean', text: 'text', bytes: 'bytes', json: 'json' };

/** Where a value is that is no field of the record's value under its own name. */
export class Slot {
  constructor(slot, kind) {
    this.slot = slot;
    this.kind = kind;
  }
}

/** The field at `path`: another name than the author's, or names joined by dots (`card.country`). */
export const field = (path, kind) => new Slot({ tag: 'field', val: path }, kind);

/** The whole value, undecoded; null is a tombstone. */
export const value = new Slot({ tag: 'value' }, 'bytes?');

/** The record's key, as `text?` or `bytes?`. */
export const key = (kind = 'text?') => new Slot({ tag: 'key' }, kind);

/** Event time in milliseconds since the Unix epoch. */
export const time = new Slot({ tag: 'time' }, 's64');

/** The header `name`, as bytes. */
export const header = (name) => new Slot({ tag: 'header', val: name }, 'bytes?');

/** The source's topic. */
export const topic = new Slot({ tag: 'topic' }, 'text?');

/** The source's partition. */
export const partition = new Slot({ tag: 'partition' }, 's64?');

/** The record's offset in its partition. */
export const offset = new Slot({ tag: 'offset' }, 's64?');

/** What the driver of a kind reads for itself; authors get these as arguments. */
export const WINDOW_START = new Slot({ tag: 'window-start' }, 's64?');
export const WINDOW_END = new Slot({ tag: 'window-end' }, 's64?');

/**
 * `declared` (`{ amount: 'f64', note: 'text?', at: time }`) as a list of fields, in the author's order; `place` is for the error.
 */
export function fieldsOf(declared, place) {
  return Object.entries(declared).map(([name, it]) => fieldOf(name, it, place));
}

/** One field: its name in the rule, its slot, its kind as the author's and as the boundary's, and whether it must be there. */
export function fieldOf(name, declared, place) {
  const [slot, text] = declared instanceof Slot ? [declared.slot, declared.kind] : [{ tag: 'field', val: name }, declared];
  const required = typeof text === 'string' && !text.endsWith('?');
  const kind = typeof text === 'string' && text.replace(/\?$/, '');
  if (!Object.hasOwn(WIRE, kind)) {
    const kinds = Object.keys(WIRE).join(', ');
    throw new TypeError(`${place}.${name}: ${JSON.stringify(text) ?? String(text)} is no kind; expected one of ${kinds}, with ? where it may be missing`);
  }
  return { name, slot, kind, wire: WIRE[kind], required };
}

/** `fields` as the boundary declares them. */
export const wireFields = (fields) => fields.map(({ slot, wire, required }) => ({ slot, kind: wire, required }));

/** The index of the field that reads `slot`, which is added where the author does not read it. */
export function indexOfSlot(fields, { slot, kind }) {
  const at = fields.findIndex((it) => it.slot.tag === slot.tag);
  return at >= 0 ? at : fields.push(fieldOf(slot.tag, new Slot(slot, kind), 'reads')) - 1;
}
