// Counts the records of each key, and writes a row for each key of a batch.

import { defineKeyed, number } from '../../../../plugin-sdk/js/index.js';

export default defineKeyed({
  name: 'count',
  reads: { amount: 'f64', customer: 'text?' },
  emits: { count: 's64' },
  state: number(),
  processBatch(batch, { count, bounds, states }, out) {
    const last = [];
    for (let key = 0; key < count; key++) {
      states[key] += bounds[key + 1] - bounds[key]; // Null, of a new key, counts as 0.
      last.push(bounds[key + 1] - 1);
    }
    out.emit(last, { count: states });
  },
});
