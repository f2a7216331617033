// Byte strings laid end to end, as the boundary has them: `{ offsets: Uint32Array, data: Uint8Array }`, one offset more than strings.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const NOTHING = new Uint8Array(0);

/** The bytes of string `at`; a view, valid as long as the batch. */
export const bytesAt = ({ offsets, data }, at) => data.subarray(offsets[at], offsets[at + 1]);

/** String `at` as text. */
export const textAt = ({ offsets, data }, at) => decoder.decode(data.subarray(offsets[at], offsets[at + 1]));

/** UTF-8 as text. */
export const textOf = (bytes) => decoder.decode(bytes);

/** Texts end to end. Some may be null or undefined; `wrong(at)` is called for one that is neither that nor text. */
export function ofTexts(values, wrong) {
  const offsets = new Uint32Array(values.length + 1);
  let joined = '';
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (typeof value === 'string') joined += value;
    else if (value !== null && value !== undefined) wrong(at);
    offsets[at + 1] = joined.length;
  }
  return encoded(joined, offsets);
}

/** Values as JSON, end to end. Some may be null or undefined, which are empty; `wrong(at)` is called for one that JSON cannot hold. */
export function ofJson(values, wrong) {
  const offsets = new Uint32Array(values.length + 1);
  let joined = '';
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    // A number is its own JSON, and needs no call; NaN and infinities are not (`value - value` is not 0).
    if (typeof value === 'number' && value - value === 0) joined += value;
    else if (value !== null && value !== undefined) joined += JSON.stringify(value) ?? wrong(at);
    offsets[at + 1] = joined.length;
  }
  return encoded(joined, offsets);
}

function encoded(joined, offsets) {
  const data = encoder.encode(joined); // All at once: a call for each text would cost five times as much.
  if (data.length === joined.length) return { offsets, data }; // ASCII: a byte for each unit of the text.
  return inUnits(joined, offsets);
}

/** `joined`, cut at `offsets` in units of UTF-16: text by text. */
function inUnits(joined, offsets) {
  const parts = Array.from({ length: offsets.length - 1 }, (_, at) => encoder.encode(joined.slice(offsets[at], offsets[at + 1])));
  return ofByteStrings(parts);
}

/** `parts`, each a `Uint8Array`, null or undefined, end to end; `wrong(at)` is called for one that is none of these. */
export function ofByteStrings(parts, wrong) {
  const offsets = new Uint32Array(parts.length + 1);
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at] ?? NOTHING;
    if (!(part instanceof Uint8Array)) wrong(at);
    offsets[at + 1] = offsets[at] + part.length;
  }
  const data = new Uint8Array(offsets[parts.length]);
  for (let at = 0; at < parts.length; at++) data.set(parts[at] ?? NOTHING, offsets[at]);
  return { offsets, data };
}

/** The strings at `rows` (ascending), end to end. */
export function pick({ offsets, data }, rows) {
  const picked = new Uint32Array(rows.length + 1);
  const copy = data.slice();
  let end = 0;
  for (let at = 0; at < rows.length; at++) {
    const from = offsets[rows[at]];
    const to = offsets[rows[at] + 1];
    // Within one copy: rows ascend, so what is moved has not been written over; and no view is made for a row.
    copy.copyWithin(end, from, to);
    end += to - from;
    picked[at + 1] = end;
  }
  return { offsets: picked, data: copy.subarray(0, end) };
}
