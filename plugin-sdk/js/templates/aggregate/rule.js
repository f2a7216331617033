// Counts and sums up the orders of each window.

import { defineAggregate } from './sdk/index.js';

export default defineAggregate({
  name: 'example-rule',
  version: '0.1.0',
  description: 'Counts and sums up the orders of each window',

  // What the rule reads. Key and window are told to `finish`.
  reads: { amount: 'f64' },

  // Written for each window, in this order.
  emits: { seller: 'text', window_start: 's64', window_end: 's64', orders: 's64', revenue: 'f64' },

  // What is known of a window so far begins as this. Whoever changes its form raises the version.
  accumulator: () => ({ orders: 0, revenue: 0 }),
  stateVersion: 1,

  add(order, takings) {
    takings.orders += 1;
    takings.revenue += order.amount;
  },

  merge(left, right) {
    left.orders += right.orders;
    left.revenue += right.revenue;
  },

  finish(window, takings, out) {
    out.emit({ seller: window.key, window_start: window.start, window_end: window.end, orders: takings.orders, revenue: takings.revenue });
  },
});
