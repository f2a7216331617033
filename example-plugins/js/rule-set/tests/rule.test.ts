import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configError, TransformTest } from '../../../../plugin-sdk/js/testing.js';
import rule from '../rule.js';

const rules = [
  { name: 'large', score: 60, when: { field: 'amount', above: 1000 } },
  { name: 'far away', score: 50, when: { all: [{ field: 'country', in: ['AQ', 'BV'] }, { not: { field: 'channel', in: ['branch'] } }] } },
  { name: 'many attempts', score: 40, when: { any: [{ field: 'attempts', above: 3 }, { field: 'attempts', missing: true }] } },
];

const payment = (more: object) => ({ payment_id: 'p', amount: 10, currency: 'EUR', attempts: 1, ...more });

test('a payment goes where its score says', () => {
  const run = new TransformTest(rule, { rules }).run([
    payment({}),
    payment({ amount: 2000 }),
    payment({ amount: 2000, attempts: 4 }),
    payment({ country: 'AQ', channel: 'branch' }),
    payment({ country: 'AQ' }),
  ]);
  assert.equal(
    String(run),
    [
      'passed: {"payment_id":"p","amount":10,"currency":"EUR","attempts":1}',
      'passed: {"payment_id":"p","amount":10,"currency":"EUR","attempts":1,"country":"AQ","channel":"branch"}',
      'review: {"payment_id":"p","score":60.0,"rules":["large"]}',
      'review: {"payment_id":"p","score":50.0,"rules":["far away"]}',
      'blocked: {"payment_id":"p","score":100.0,"rules":["large","many attempts"]}',
      'count payments_blocked: 1',
    ].join('\n'),
  );
});

test('a field that a payment lacks fulfils nothing but `missing`', () => {
  const run = new TransformTest(rule, { rules, review_from: 40 }).run([payment({ attempts: null })]);
  assert.deepEqual(run.rows('review'), [{ payment_id: 'p', score: 40, rules: ['many attempts'] }]);
});

test('a rule set that makes no sense refuses the deployment, with the place', () => {
  const error = (when: unknown) => configError(rule, { rules: [{ name: 'r', score: 1, when }] });
  assert.equal(error({ field: 'amont', above: 1 }), 'config.rules[0].when.field: expected one of amount, attempts, found "amont"');
  assert.equal(error({ all: [{ field: 'country', above: 1 }] }), 'config.rules[0].when.all[0].field: expected one of amount, attempts, found "country"');
  assert.equal(error({ field: 'amount', above: 1, below: 2 }), 'config.rules[0].when: expected one of all, any, not, above, below, in, missing, found above and below');
  assert.equal(configError(rule, { rules: [{ name: 'r', when: {} }] }), 'config.rules: missing field `score`');
});
