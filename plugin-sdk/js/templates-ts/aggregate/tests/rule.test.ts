import assert from 'node:assert/strict';
import { test } from 'node:test';
import rule from '../rule.js';
import { AggregateTest } from '../sdk/testing.js';

test('orders are counted and summed up', () => {
  const run = new AggregateTest(rule).run('shop', [0, 60_000], [{ amount: 10.125 }, { amount: 5 }]);
  assert.equal(String(run), 'out: {"seller":"shop","window_start":0,"window_end":60000,"orders":2,"revenue":15.125}');
});
