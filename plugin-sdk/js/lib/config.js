// The types of a configuration: what a key may hold, what it is when it is left out, and how a wrong value is told.

/**
 * A type of a configuration's value. `read(value, path)` answers the value or throws a `ConfigError` that names `path`; `schema` is its
 * JSON Schema; `fallback` makes the value of a key that is left out, and is absent where the key must be given.
 */
class Type {
  constructor(read, schema, fallback) {
    this.read = read;
    this.schema = schema;
    this.fallback = fallback;
  }
}

/** A configuration that a plugin does not take. The host shows the message and refuses the deployment. */
export class ConfigError extends Error {
  name = 'ConfigError';
}

const S64_SAFE = Number.MAX_SAFE_INTEGER;

/** What a value is, in the words of the other SDKs' messages. */
function found(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'sequence';
  if (typeof value === 'string') return `string ${JSON.stringify(value)}`;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (typeof value === 'number') return Number.isInteger(value) ? `integer \`${value}\`` : `floating point \`${value}\``;
  return 'map';
}

function wrong(path, value, expected) {
  throw new ConfigError(`${path}: invalid type: ${found(value)}, expected ${expected}`);
}

/** A type for the values that `fits`. A default is checked when the plugin is defined, not when it is first left out. */
function plain(expected, fits, schema, fallback) {
  const read = (value, path) => (fits(value) ? value : wrong(path, value, expected));
  if (fallback !== undefined) read(fallback, 'the default');
  return new Type(read, schema, fallback === undefined ? undefined : () => fallback);
}

/** A number. */
export const f64 = (fallback) => plain('f64', (it) => typeof it === 'number', { type: 'number' }, fallback);

/** A whole number, at most 2^53 - 1 from zero. */
export const s64 = (fallback) =>
  plain('i64', (it) => Number.isInteger(it) && Math.abs(it) <= S64_SAFE, { type: 'integer' }, fallback);

/** Text. */
export const text = (fallback) => plain('a string', (it) => typeof it === 'string', { type: 'string' }, fallback);

/** True or false. */
export const boolean = (fallback) => plain('a boolean', (it) => typeof it === 'boolean', { type: 'boolean' }, fallback);

/** Any JSON value, unchecked. */
export const json = (fallback) => plain('a value', (it) => it !== undefined, {}, fallback);

/** One of some texts; the first is no default by itself. */
export function oneOf(choices, fallback) {
  const expected = `one of ${choices.map((it) => `\`${it}\``).join(', ')}`;
  return plain(expected, (it) => choices.includes(it), { enum: choices }, fallback);
}

/** `type`, or null where the key is left out or null. */
export function optional(type) {
  const read = (value, path) => (value === null ? null : type.read(value, path));
  return new Type(read, { anyOf: [type.schema, { type: 'null' }] }, () => null);
}

/** A list of values of `type`. */
export function list(type, fallback) {
  const read = (value, path) => (Array.isArray(value) ? value.map((it) => type.read(it, path)) : wrong(path, value, 'a sequence'));
  return composed(read, { type: 'array', items: type.schema }, fallback);
}

/** An object with any keys, whose values are of `type`. */
export function map(type, fallback) {
  const read = (value, path) => {
    if (!isObject(value)) wrong(path, value, 'a map');
    return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, type.read(it, `${path}.${key}`)]));
  };
  return composed(read, { type: 'object', additionalProperties: type.schema }, fallback);
}

/** An object of `members`, a type for each key. Any other key is refused. */
export function object(members, fallback) {
  const names = Object.keys(members);
  const read = (value, path) => {
    if (!isObject(value)) wrong(path, value, 'a map');
    const unknown = Object.keys(value).find((it) => !Object.hasOwn(members, it));
    if (unknown !== undefined) throw new ConfigError(`${path}: unknown field \`${unknown}\`, ${expectedNames(names)}`);
    const member = (name) => {
      if (Object.hasOwn(value, name)) return members[name].read(value[name], `${path}.${name}`);
      if (members[name].fallback) return members[name].fallback();
      throw new ConfigError(`${path}: missing field \`${name}\``);
    };
    return Object.fromEntries(names.map((name) => [name, member(name)]));
  };
  return composed(read, objectSchema(members), fallback);
}

function composed(read, schema, fallback) {
  if (fallback === undefined) return new Type(read, schema, undefined);
  read(fallback, 'the default');
  const text = JSON.stringify(fallback);
  return new Type(read, schema, () => read(JSON.parse(text), 'the default')); // A copy: a rule may change what it is given.
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function expectedNames(names) {
  const quoted = names.map((it) => `\`${it}\``);
  if (quoted.length === 0) return 'there are no fields';
  if (quoted.length <= 2) return `expected ${quoted.join(' or ')}`;
  return `expected one of ${quoted.join(', ')}`;
}

function objectSchema(members) {
  const properties = Object.entries(members).map(([name, type]) => {
    const fallback = type.fallback?.();
    return [name, fallback === undefined || fallback === null ? type.schema : { ...type.schema, default: fallback }];
  });
  const required = Object.keys(members).filter((name) => !members[name].fallback);
  const schema = { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false };
  return required.length ? { ...schema, required } : schema;
}
