// What the types promise, held by the compiler: a line that should not compile says so.

import { defineAggregate, defineKeyed, defineTransform, json, key, t, time } from '../index.js';
import { TransformTest } from '../testing.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>) => {};

const transform = defineTransform({
  name: 'rule',
  config: { max: t.f64(1), mode: t.oneOf(['fast', 'safe'], 'fast'), limits: t.list(t.object({ of: t.text() })) },
  reads: { amount: 'f64', note: 'text?', id: 'bigint', at: time, k: key() },
  emits: { amount: 'f64', note: 'text?' },
  process(txn, out, config) {
    same<typeof txn.amount, number>(true);
    same<typeof txn.note, string | null>(true);
    same<typeof txn.id, bigint>(true);
    same<typeof txn.at, number>(true);
    same<typeof txn.k, string | null>(true);
    same<typeof config.max, number>(true);
    same<typeof config.mode, 'fast' | 'safe'>(true);
    same<(typeof config.limits)[number], { readonly of: string }>(true);
    out.emit({ amount: 1 });
    out.emit({ amount: 1, note: null });
    // @ts-expect-error A field that is not read.
    txn.amont;
    // @ts-expect-error A field without `?` is left out.
    out.emit({ note: 'x' });
    // @ts-expect-error Another type.
    out.emit({ amount: '1' });
    // @ts-expect-error A field that the port has not.
    out.emit({ amount: 1, extra: 2 });
  },
});
new TransformTest(transform, { max: 5 }).run([{ amount: 1 }]);

defineTransform({
  name: 'rule',
  reads: { amount: 'f64', note: 'text?', n: 's64' },
  ports: { main: { amount: 'f64', note: 'text?' }, rest: {} },
  processBatch(batch, out) {
    same<typeof batch.columns.amount.values, Float64Array>(true);
    out.ports.main.emit([0], { amount: batch.columns.amount.pick([0]), note: ['x'] });
    out.ports.rest.keep([0]);
    // @ts-expect-error Text has no values to look at without decoding.
    batch.columns.note.values;
    // @ts-expect-error Nor has a port that is not there.
    out.ports.other;
  },
});

defineKeyed({
  name: 'rule',
  state: json<{ last: number }>(),
  reads: { at: time },
  process(event, key) {
    same<typeof key.state, { last: number } | null>(true);
    key.state = { last: event.at };
    // @ts-expect-error Another shape.
    key.state = { count: 1 };
  },
});

defineAggregate({
  name: 'rule',
  reads: { amount: 'f64' },
  emits: { sum: 'f64' },
  accumulator: () => ({ sum: 0 }),
  add: (order, it) => void (it.sum += order.amount),
  merge: (left, right) => ({ sum: left.sum + right.sum }),
  finish: (window, it, out) => out.emit({ sum: it.sum + window.start }),
});

// @ts-expect-error A kind that there is not.
defineTransform({ name: 'rule', reads: { a: 'float' }, process() {} });
