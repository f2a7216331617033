import assert from 'node:assert/strict';
import { test } from 'node:test';
import rule from '../rule.js';
import { KeyedTest, record } from '../sdk/testing.js';

test('a key is summed up when it falls silent', () => {
  const silence = new KeyedTest(rule, { silence_ms: 100 });
  silence.run([10, 50].map((at) => record({}, { key: 'ann', time: at })));
  assert.deepEqual(silence.state('ann'), { last: 50, count: 2 });
  assert.equal(String(silence.advance(150)), 'out: {"key":"ann","last":50,"count":2}');
  assert.deepEqual(silence.keys(), []);
});
