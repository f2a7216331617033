import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, defineAggregate, Reject } from '../index.js';
import { AggregateTest } from '../testing.js';

const takings = (more) =>
  defineAggregate({
    name: 'takings',
    reads: { amount: 'f64' },
    emits: { seller: 'text', start: 's64', end: 's64', sum: 'f64' },
    accumulator: () => ({ sum: 0 }),
    add: (order, it) => {
      it.sum += order.amount;
    },
    merge: (left, right) => ({ sum: left.sum + right.sum }),
    finish: ({ key, start, end }, { sum }, out) => {
      if (sum > 100) throw new Reject('too much');
      out.emit({ seller: key, start, end, sum });
    },
    ...more,
  });

const run = (more, amounts) => new AggregateTest(takings(more)).run('shop', [0, 10], amounts.map((amount) => ({ amount })));

test('a window is folded whole and in halves, which agree', () => {
  assert.equal(String(run({}, [1, 2.5, 0.25])), 'out: {"seller":"shop","start":0,"end":10,"sum":3.75}');
});

test('a window may be refused', () => {
  assert.equal(String(run({}, [99, 2])), 'reject 0: too much');
});

test('a merge that loses something is found', () => {
  assert.throws(() => run({ merge: (left) => left }, [1, 2]), /records 1\.\. merged after those before give another result/);
});

test('records may be added as columns, and the accumulator be bytes', () => {
  const one = (number) => new Uint8Array(Float64Array.of(number).buffer);
  const of = (it) => new Float64Array(it.slice().buffer)[0];
  const more = {
    accumulatorForm: bytes(),
    accumulator: () => one(0),
    add: undefined,
    addBatch(batch, { count, bounds, accumulators }) {
      const amounts = batch.columns.amount.values;
      for (let group = 0; group < count; group++) {
        let sum = of(accumulators[group]);
        for (let row = bounds[group]; row < bounds[group + 1]; row++) sum += amounts[row];
        accumulators[group] = one(sum);
      }
    },
    merge: (left, right) => one(of(left) + of(right)),
    finish: ({ key, start, end }, it, out) => out.emit({ seller: key, start, end, sum: of(it) }),
  };
  assert.equal(String(run(more, [1, 2])), 'out: {"seller":"shop","start":0,"end":10,"sum":3.0}');
});

test('what a fold needs must be there', () => {
  assert.throws(() => takings({ merge: undefined }).instance(), /`merge` is missing/);
});
