// Writes half of the records as two columns.

import { defineTransform } from '../../../../plugin-sdk/js/index.js';

export default defineTransform({
  name: 'columns',
  reads: { amount: 'f64', customer: 'text?' },
  emits: { customer: 'text?', amount: 'f64' },
  processBatch({ rows, columns }, out) {
    const amounts = columns.amount.values;
    const kept = [];
    for (let row = 0; row < rows; row++) if (amounts[row] > 10_000) kept.push(row);
    out.emit(kept, { customer: columns.customer.pick(kept), amount: columns.amount.pick(kept) });
  },
});
