// Alerts on transactions that are too large.

import { defineTransform, Reject, t } from './sdk/index.js';

export default defineTransform({
  name: 'example-rule',
  version: '0.1.0',
  description: 'Alerts on transactions that are too large',

  // The step's `config`. A wrong one is refused before anything starts.
  config: { max_amount: t.f64(10_000) },

  // What the rule reads. No other field is decoded; a record without one that has no `?` goes to the dead letters.
  reads: { customer_id: 'text', amount: 'f64', note: 'text?' },

  // What it writes, in this order.
  emits: { customer_id: 'text', amount: 'f64', note: 'text?' },

  process(txn, out, config) {
    if (txn.amount < 0) throw new Reject('a negative amount'); // To the dead letters, with this reason.
    if (txn.amount > config.max_amount) {
      out.emit({ customer_id: txn.customer_id, amount: txn.amount, note: txn.note });
    }
  },
});
