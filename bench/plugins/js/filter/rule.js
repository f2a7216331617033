// Passes half of the records on.

import { defineTransform } from '../../../../plugin-sdk/js/index.js';

export default defineTransform({
  name: 'filter',
  reads: { amount: 'f64', customer: 'text?' },
  processBatch({ rows, columns }, out) {
    const amounts = columns.amount.values;
    const kept = [];
    for (let row = 0; row < rows; row++) if (amounts[row] > 10_000) kept.push(row);
    out.keep(kept);
  },
});
