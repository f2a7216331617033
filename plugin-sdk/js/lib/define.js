// From a definition to a plugin: what all kinds have in common.

import { Reject } from './reject.js';
import { beginCall } from './calls.js';
import { describe } from './failure.js';
import { fieldsOf, wireFields } from './fields.js';
import { setContext } from './host.js';
import { portsOf } from './output.js';
import { object } from './config.js';

/** Keys that a definition of any kind may have. */
const COMMON = ['name', 'version', 'description', 'config', 'reads', 'emits', 'ports'];

/**
 * A plugin of `kind`: `instance()` makes one, with what a component exports. `more` are the keys that only this kind has, and
 * `start(parts)` makes the functions of the kind from `{ definition, fields, reads, ports, config }` once the plugin is opened.
 */
export function plugin(kind, definition, more, start) {
  const parts = checked(kind, definition, more);
  // `state` is for test drivers: how what is stored is read.
  return { kind, state: definition.state, instance: () => instance(kind, parts, start) };
}

function checked(kind, definition, more) {
  const unknown = Object.keys(definition).find((it) => !COMMON.includes(it) && !more.includes(it));
  if (unknown !== undefined) throw new TypeError(`\`${unknown}\` is not part of a ${kind} plugin; expected ${[...COMMON, ...more].join(', ')}`);
  const { name, version = '0.1.0', description = '', config = {}, reads = {} } = definition;
  if (typeof name !== 'string' || name === '') throw new TypeError('`name` is missing: what the plugin is called');
  for (const [key, it] of Object.entries(definition)) {
    if (it?.constructor?.name === 'AsyncFunction') throw new TypeError(`\`${key}\` must not be async: nothing that a plugin could wait for is there`);
  }
  const fields = fieldsOf(reads, 'reads');
  const ports = portsOf(definition, (declared, port) => fieldsOf(declared, `port \`${port}\``));
  return { definition, name, version, description, config: object(config), fields, ports };
}

function instance(kind, parts, start) {
  const { name, version, description, config, fields, ports, definition } = parts;
  const { reads, stateVersion, functions } = start(parts);
  let opened;
  const calls = Object.entries(functions).map(([call, it]) => [call, guarded((records, ...rest) => it(opened, records, ...rest))]);
  const lifecycle = {
    describe: () => ({ name, version, description, configSchema: JSON.stringify(config.schema) }),
    open: guarded((text) => {
      setContext(name);
      opened = config.read(parsed(text), 'config');
      definition.open?.(opened);
      return { reads: wireFields(reads ?? fields), ports: ports.map((it) => ({ name: it.name, fields: wireFields(it.fields) })), stateVersion };
    }),
  };
  const { migrate, ...own } = Object.fromEntries(calls);
  return { lifecycle, [kind]: own, ...(migrate && { migration: { migrate } }) };
}

function parsed(text) {
  try {
    return JSON.parse(text === '' ? '{}' : text);
  } catch (error) {
    throw new SyntaxError(`config: ${error.message}`);
  }
}

/** `call`, whose failures become what the boundary answers as `err`: a thrown text. An `Error` would be a trap, and its message lost. */
function guarded(call) {
  return (records, ...rest) => {
    beginCall(records);
    try {
      return call(records, ...rest);
    } catch (thrown) {
      throw told(thrown);
    }
  };
}

function told(thrown) {
  // The reader of a refused configuration or version is not the plugin's author: no type, no place.
  return thrown?.name === 'ConfigError' ? thrown.message : describe(thrown);
}

/**
 * Runs `from(row)`, which goes on row by row from there, to the end: a row that throws `Reject` is refused through `refuse(row, reason)`, and
 * the next one follows. Anything else that is thrown fails the call. `at()` says which row it was.
 */
export function throughRejects(rows, at, from, refuse) {
  for (let row = 0; row < rows; ) {
    try {
      from(row);
      return;
    } catch (thrown) {
      if (!(thrown instanceof Reject)) throw thrown;
      row = at();
      refuse(row, thrown.message);
      row += 1;
    }
  }
}
