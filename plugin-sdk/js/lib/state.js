// A key's state and a window's accumulator as bytes: JSON, which a person can read and a later version of a plugin can migrate, or bytes of the
// author's own.

import { bytesAt, ofByteStrings, ofTexts, textAt } from './strings.js';

const NOTHING = new Uint8Array(0);

/** State as JSON: any value that JSON holds. JSON has no NaN and no infinity, which become null. */
export const json = () => JSON_FORM;

/** State as bytes: a `Uint8Array`, of a form that the author decides on. */
export const bytes = () => BYTES_FORM;

const JSON_FORM = {
  read(strings, at) {
    const text = textAt(strings, at);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new SyntaxError(`the stored state is not what this version of the plugin writes (${error.message}): raise \`stateVersion\` and migrate it`);
    }
  },
  write: (states) => ofTexts(states.map((it) => (it === null ? null : JSON.stringify(it))), (at) => wrong(states[at], 'a value that JSON can hold')),
};

const BYTES_FORM = {
  read: bytesAt,
  write: (states) => ofByteStrings(states, (at) => wrong(states[at], 'a Uint8Array')),
};

function wrong(state, expected) {
  throw new TypeError(`a state is ${typeof state}: expected ${expected}, or null for none`);
}

/** The form that a definition asks for: `json()` unless it says otherwise. */
export function formOf(declared, key) {
  const form = declared ?? JSON_FORM;
  if (form !== JSON_FORM && form !== BYTES_FORM) throw new TypeError(`\`${key}\`: expected json() or bytes()`);
  return form;
}

/** The states of a column, one a group, null where a group has none. */
export function readStates(form, { values: { val }, nulls }) {
  const states = new Array(val.offsets.length - 1);
  for (let at = 0; at < states.length; at++) states[at] = nulls.length > 0 && nulls[at] === 1 ? null : form.read(val, at);
  return states;
}

/** States, null where there is none, as a column of kind bytes. */
export function writeStates(form, states) {
  for (let at = 0; at < states.length; at++) states[at] ??= null; // What is undefined is no state either.
  const nulls = states.includes(null) ? Uint8Array.from(states, (it) => (it === null ? 1 : 0)) : NOTHING;
  return { values: { tag: 'bytes', val: form.write(states) }, nulls };
}

/** All of `strings`, none of them null. */
export const readAll = (form, strings) => readStates(form, { values: { val: strings }, nulls: NOTHING });

/** The version of the state's form, which a definition gives as a whole number from 0. */
export function versionOf({ stateVersion = 1 }) {
  if (!Number.isInteger(stateVersion) || stateVersion < 0) throw new TypeError(`stateVersion is ${stateVersion}: expected a whole number from 0`);
  return stateVersion;
}

/**
 * Brings states of an older version to this one: `migrate(bytes, fromVersion)` of the definition answers the state as its rule has it. Without one, every
 * version is refused.
 */
export function migration(definition, form) {
  return (_config, fromVersion, strings) => {
    if (!definition.migrate) throw `no migration from state version ${fromVersion}`; // Answered as it is: there is no line to point at.
    const migrated = Array.from({ length: strings.offsets.length - 1 }, (_, at) => definition.migrate(bytesAt(strings, at), fromVersion));
    if (migrated.some((it) => it === null || it === undefined)) throw new TypeError('`migrate` answered no state; a state cannot be dropped');
    return form.write(migrated);
  };
}
