import assert from 'node:assert/strict';
import { test } from 'node:test';
import rule from '../rule.js';
import { configError, TransformTest } from '../../../../plugin-sdk/js/testing.js';

function run(config, rows) {
  const records = rows.map(([amount, txn_count], n) => ({
    transaction_id: `t${n}`, customer_id: 'ann', amount, timestamp: '2026-01-01T00:00:00Z', txn_count,
  }));
  return String(new TransformTest(rule, config).run(records));
}

test('a transaction over a limit is an alert and one at it is not', () => {
  assert.equal(
    run({}, [[10_000, 5], [12_000, 1], [20.5, 6], [10_000.01, 7]]),
    [
      'out: {"customer_id":"ann","transaction_id":"t1","amount":12000.0,"alerts":["High amount: 12000.00"],"timestamp":"2026-01-01T00:00:00Z"}',
      'out: {"customer_id":"ann","transaction_id":"t2","amount":20.5,"alerts":["High velocity: 6 transactions in 5 min"],"timestamp":"2026-01-01T00:00:00Z"}',
      'out: {"customer_id":"ann","transaction_id":"t3","amount":10000.01,"alerts":["High velocity: 7 transactions in 5 min","High amount: 10000.01"],"timestamp":"2026-01-01T00:00:00Z"}',
    ].join('\n'),
  );
});

test('without a count only the amount decides', () => {
  assert.equal(run({ max_count: 0 }, [[5, null]]), '');
});

test('an amount is written as the other languages write it', () => {
  assert.match(run({ max_amount: 1 }, [[10.125, 1]]), /High amount: 10\.12"/);
});

test('a record without an amount never reaches the rule', () => {
  const run = new TransformTest(rule).run([
    { transaction_id: 't', customer_id: 'ann', timestamp: '' },
    { transaction_id: 't', customer_id: 7, timestamp: '', amount: 1 },
  ]);
  assert.equal(String(run), 'reject 0: field `amount` is missing\nreject 1: field `customer_id` is 7, expected text');
});

test('a wrong configuration is refused with the key', () => {
  assert.equal(configError(rule, { max_amount: 'a lot' }), 'config.max_amount: invalid type: string "a lot", expected f64');
  assert.equal(configError(rule, { max_amont: 1 }), 'config: unknown field `max_amont`, expected `max_amount` or `max_count`');
  assert.equal(configError(rule, { max_count: 1.5 }), 'config.max_count: invalid type: floating point `1.5`, expected i64');
});
