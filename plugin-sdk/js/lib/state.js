// A key's state and a window's accumulator as bytes: JSON, which a person can read and a later version of a plugin can migrate, a number in eight
// bytes, or bytes of the author's own.

import { ConfigError } from './config.js';
import { bytesAt, ofByteStrings, ofJson, textAt, textOf } from './strings.js';

const NOTHING = new Uint8Array(0);

/** State as JSON: any value that JSON holds. JSON has no NaN and no infinity, which become null. */
export const json = () => JSON_FORM;

/** State as a number, in eight bytes (an f64, the lowest byte first): for counts and sums, which cost a fraction of what they cost as JSON. */
export const number = () => NUMBER_FORM;

/** State as bytes: a `Uint8Array`, of a form that the author decides on. */
export const bytes = () => BYTES_FORM;

/** Forms read and write lists of states, one a group, null where a group has none. */
const BYTES_FORM = {
  read: (strings, nulls) => eachState(strings, nulls, (at) => bytesAt(strings, at)),
  write: (states) => ofByteStrings(states, (at) => wrong(states[at], 'a Uint8Array')),
};

const JSON_FORM = {
  read: (strings, nulls) => readTogether(strings, nulls) ?? eachState(strings, nulls, (at) => readOne(strings, at)),
  write: (states) => ofJson(states, (at) => wrong(states[at], 'a value that JSON can hold')),
};

const NUMBER_BYTES = 8;

const NUMBER_FORM = {
  read(strings, nulls) {
    const { offsets, data } = strings;
    const count = offsets.length - 1;
    const present = nulls.length === 0 ? count : count - countNulls(nulls);
    if (data.length !== present * NUMBER_BYTES) throw unreadable(`${data.length} bytes, expected ${present} numbers of ${NUMBER_BYTES}`);
    // Of a copy, which lies where numbers may; and natively, all at once.
    return spread(Array.prototype.slice.call(new Float64Array(data.slice().buffer)), count, nulls);
  },
  write(states) {
    const present = states.includes(null) || states.includes(undefined) ? states.filter((it) => it !== null && it !== undefined) : states;
    const numbers = new Float64Array(present);
    // What is no number has become NaN, most often.
    if (numbers.includes(NaN)) present.forEach((it) => typeof it === 'number' || wrong(it, 'a number'));
    const data = new Uint8Array(numbers.buffer);
    return { offsets: present === states ? everyEight(states.length) : offsetsAround(states), data };
  },
};

let eights = Uint32Array.of(0);

/** The offsets of `count` strings of eight bytes each; the same array as the last time where there are as many. */
function everyEight(count) {
  if (eights.length !== count + 1) eights = Uint32Array.from({ length: count + 1 }, (_, at) => at * NUMBER_BYTES);
  return eights;
}

/** The offsets of numbers some of which are missing. */
function offsetsAround(states) {
  const offsets = new Uint32Array(states.length + 1);
  for (let at = 0; at < states.length; at++) {
    offsets[at + 1] = offsets[at] + (states[at] === null || states[at] === undefined ? 0 : NUMBER_BYTES);
  }
  return offsets;
}

function unreadable(why) {
  return new SyntaxError(`the stored state is not what this version of the plugin writes (${why}): raise \`stateVersion\` and migrate it`);
}

function wrong(state, expected) {
  throw new TypeError(`a state is a ${typeof state}: expected ${expected}, or null for none`);
}

function eachState({ offsets }, nulls, read) {
  const states = new Array(offsets.length - 1);
  for (let at = 0; at < states.length; at++) states[at] = nulls[at] === 1 ? null : read(at);
  return states;
}

function readOne(strings, at) {
  try {
    return JSON.parse(textAt(strings, at));
  } catch (error) {
    throw unreadable(error.message);
  }
}

/** All states, parsed as one list, which costs a fraction of parsing one by one; undefined where the list does not come out right. */
function readTogether(strings, nulls) {
  const { offsets, data } = strings;
  const text = textOf(data);
  const ascii = text.length === data.length; // Else offsets, which count bytes, do not fit the text.
  const count = offsets.length - 1;
  const parts = [];
  for (let at = 0, from = 0; at < count; at++) {
    const to = offsets[at + 1];
    // A state of JSON has a byte at least: what has none is null.
    if (to !== from) parts.push(ascii ? text.slice(from, to) : textAt(strings, at));
    from = to;
  }
  try {
    const list = JSON.parse(`[${parts.join()}]`);
    return list.length === parts.length && parts.length === count - countNulls(nulls) ? spread(list, count, nulls) : undefined;
  } catch {
    return undefined;
  }
}

function countNulls(nulls) {
  let count = 0;
  for (let at = 0; at < nulls.length; at++) count += nulls[at];
  return count;
}

/** `list` with a null for each group that has none. */
function spread(list, count, nulls) {
  if (list.length === count) return list;
  const states = new Array(count);
  for (let at = 0, next = 0; at < count; at++) states[at] = nulls[at] === 1 ? null : list[next++];
  return states;
}

/** The form that a definition asks for: `json()` unless it says otherwise. */
export function formOf(declared, key) {
  const form = declared ?? JSON_FORM;
  if (![JSON_FORM, NUMBER_FORM, BYTES_FORM].includes(form)) throw new TypeError(`\`${key}\`: expected json(), number() or bytes()`);
  return form;
}

/** The states of a column, one a group, null where a group has none. */
export const readStates = (form, { values, nulls }) => form.read(values.val, nulls);

/** All of `strings`, none of them null. */
export const readAll = (form, strings) => form.read(strings, NOTHING);

/** States, null or undefined where there is none, as a column of kind bytes. */
export function writeStates(form, states) {
  let nulls = NOTHING;
  if (states.includes(null) || states.includes(undefined)) {
    nulls = new Uint8Array(states.length);
    for (let at = 0; at < states.length; at++) if (states[at] === null || states[at] === undefined) nulls[at] = 1;
  }
  return { values: { tag: 'bytes', val: form.write(states) }, nulls };
}

/** The version of the state's form, which a definition gives as a whole number from 0. */
export function versionOf({ stateVersion = 1 }) {
  if (!Number.isInteger(stateVersion) || stateVersion < 0) throw new TypeError(`stateVersion is ${stateVersion}: expected a whole number from 0`);
  return stateVersion;
}

/**
 * Brings states of an older version to this one: `migrate(bytes, fromVersion)` of the definition answers the state as its rule has it. Without one, every
 * version is refused.
 */
export function migration({ migrate }, form) {
  return (_config, fromVersion, strings) => {
    if (!migrate) throw new ConfigError(`no migration from state version ${fromVersion}`);
    const migrated = eachState(strings, NOTHING, (at) => migrate(bytesAt(strings, at), fromVersion) ?? null);
    if (migrated.includes(null)) throw new TypeError('`migrate` answered no state; a state cannot be dropped');
    return form.write(migrated);
  };
}
