import assert from 'node:assert/strict';
import { test } from 'node:test';
import rule from '../rule.js';
import { TransformTest } from '../sdk/testing.js';

test('only a large amount is an alert', () => {
  const run = new TransformTest(rule, { max_amount: 100 }).run([
    { customer_id: 'ann', amount: 100 },
    { customer_id: 'bob', amount: 101 },
  ]);
  assert.equal(String(run), 'out: {"customer_id":"bob","amount":101.0,"note":null}');
});
