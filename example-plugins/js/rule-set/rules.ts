// A rule set: conditions on the fields of a payment, as data. What a rule may say is a type here, and is checked when it is loaded: the compiler holds the code
// to it, the loader the configuration.

import { ConfigError } from '../../../plugin-sdk/js/index.js';

/** A payment, as far as rules can look at it. */
export interface Payment {
  readonly amount: number;
  readonly currency: string;
  readonly country: string | null;
  readonly channel: string | null;
  readonly attempts: number | null;
}

/** The fields that hold numbers, and those that hold text. */
type FieldsOf<V> = { [N in keyof Payment]-?: NonNullable<Payment[N]> extends V ? N : never }[keyof Payment];
export type NumberField = FieldsOf<number>;
export type TextField = FieldsOf<string>;

const NUMBERS: readonly NumberField[] = ['amount', 'attempts'];
const TEXTS: readonly TextField[] = ['currency', 'country', 'channel'];

/** What a rule asks for. A field that a payment lacks fulfils nothing but `missing`. */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  | { readonly field: NumberField; readonly above: number }
  | { readonly field: NumberField; readonly below: number }
  | { readonly field: TextField; readonly in: readonly string[] }
  | { readonly field: NumberField | TextField; readonly missing: true };

/** A condition, ready to be asked. */
export type Test = (payment: Payment) => boolean;

/** Makes functions of conditions, once: a payment is then asked without looking at the rule set again. */
export function compile(condition: Condition): Test {
  if ('all' in condition) {
    const tests = condition.all.map(compile);
    return (payment) => tests.every((it) => it(payment));
  }
  if ('any' in condition) {
    const tests = condition.any.map(compile);
    return (payment) => tests.some((it) => it(payment));
  }
  if ('not' in condition) {
    const test = compile(condition.not);
    return (payment) => !test(payment);
  }
  const { field } = condition;
  if ('above' in condition) return (payment) => (payment[condition.field] ?? -Infinity) > condition.above;
  if ('below' in condition) return (payment) => (payment[condition.field] ?? Infinity) < condition.below;
  if ('missing' in condition) return (payment) => payment[field] === null;
  const wanted = new Set(condition.in);
  return (payment) => {
    const found = payment[condition.field];
    return found !== null && wanted.has(found);
  };
}

/** `value`, as a condition. The error names `path`, where it stands in the configuration. */
export function checked(value: unknown, path: string): Condition {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'expected a condition, an object');
  const { field, ...rest } = value as Record<string, unknown>;
  const [operator, ...more] = Object.keys(rest);
  if (operator === undefined || more.length > 0) throw wrong(path, `expected one of all, any, not, above, below, in, missing, found ${Object.keys(rest).join(' and ') || 'none'}`);
  const operand = rest[operator];
  const place = `${path}.${operator}`;
  switch (operator) {
    case 'all':
      return { all: list(operand, place).map((it, at) => checked(it, `${place}[${at}]`)) };
    case 'any':
      return { any: list(operand, place).map((it, at) => checked(it, `${place}[${at}]`)) };
    case 'not':
      return { not: checked(operand, place) };
    case 'above':
      return { field: oneOf(NUMBERS, field, path), above: number(operand, place) };
    case 'below':
      return { field: oneOf(NUMBERS, field, path), below: number(operand, place) };
    case 'in':
      return { field: oneOf(TEXTS, field, path), in: list(operand, place).map((it, at) => text(it, `${place}[${at}]`)) };
    case 'missing':
      return { field: oneOf([...NUMBERS, ...TEXTS], field, path), missing: operand === true || fail(place, 'expected true') };
    default:
      throw wrong(path, `unknown condition \`${operator}\``);
  }
}

const wrong = (path: string, message: string) => new ConfigError(`${path}: ${message}`);

function fail(path: string, message: string): never {
  throw wrong(path, message);
}

function list(value: unknown, path: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(path, 'expected a list');
}

function number(value: unknown, path: string): number {
  return typeof value === 'number' ? value : fail(path, 'expected a number');
}

function text(value: unknown, path: string): string {
  return typeof value === 'string' ? value : fail(path, 'expected text');
}

function oneOf<F extends string>(fields: readonly F[], value: unknown, path: string): F {
  return fields.find((it) => it === value) ?? fail(`${path}.field`, `expected one of ${fields.join(', ')}, found ${JSON.stringify(value) ?? 'none'}`);
}
