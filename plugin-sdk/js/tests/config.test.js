import assert from 'node:assert/strict';
import { test } from 'node:test';
import { t } from '../index.js';

const type = t.object({
  max: t.f64(1.5),
  count: t.s64(),
  mode: t.oneOf(['fast', 'safe'], 'fast'),
  note: t.optional(t.text()),
  limits: t.list(t.object({ of: t.text(), at: t.f64(0) }), [{ of: 'all', at: 1 }]),
  rates: t.map(t.f64(), {}),
});

const error = (value) => {
  try {
    type.read(value, 'config');
    return undefined;
  } catch (thrown) {
    return thrown.message;
  }
};

test('what is left out is its default, a new one each time', () => {
  const first = type.read({ count: 1 }, 'config');
  assert.deepEqual(first, { max: 1.5, count: 1, mode: 'fast', note: null, limits: [{ of: 'all', at: 1 }], rates: {} });
  first.limits.push('changed');
  assert.equal(type.read({ count: 1 }, 'config').limits.length, 1);
});

test('an error names the key, what was found and what was expected', () => {
  const config = (more) => error({ count: 1, ...more });
  assert.equal(error({}), 'config: missing field `count`');
  assert.equal(config({ cont: 1 }), 'config: unknown field `cont`, expected one of `max`, `count`, `mode`, `note`, `limits`, `rates`');
  assert.equal(config({ max: true }), 'config.max: invalid type: boolean `true`, expected f64');
  assert.equal(config({ count: 2 ** 53 }), 'config.count: invalid type: integer `9007199254740992`, expected i64');
  assert.equal(config({ mode: 'slow' }), 'config.mode: invalid type: string "slow", expected one of `fast`, `safe`');
  assert.equal(config({ note: 5 }), 'config.note: invalid type: integer `5`, expected a string');
  assert.equal(config({ limits: {} }), 'config.limits: invalid type: map, expected a sequence');
  assert.equal(config({ limits: [{ of: 'a', to: 1 }] }), 'config.limits: unknown field `to`, expected `of` or `at`');
  assert.equal(config({ rates: { eur: 'x' } }), 'config.rates.eur: invalid type: string "x", expected f64');
  assert.equal(error([]), 'config: invalid type: sequence, expected a map');
});

test('a key that is in every object is not in a configuration', () => {
  assert.equal(error({ count: 1, toString: 1 }), 'config: unknown field `toString`, expected one of `max`, `count`, `mode`, `note`, `limits`, `rates`');
});

test('the JSON Schema says types, defaults and what is required', () => {
  const schema = t.object({ max: t.f64(1.5), name: t.text(), note: t.optional(t.s64()) }).schema;
  assert.deepEqual(schema, {
    type: 'object',
    properties: {
      max: { type: 'number', default: 1.5 },
      name: { type: 'string' },
      note: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
    },
    additionalProperties: false,
    required: ['name'],
  });
});
