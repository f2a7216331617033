// Writes half of the records as two columns.

import { defineTransform } from '../../../../plugin-sdk/js/index.js';

export default defineTransform({
  name: 'columns-rows',
  reads: { amount: 'f64', customer: 'text?' },
  emits: { customer: 'text?', amount: 'f64' },
  process(payment, out) {
    if (payment.amount > 10_000) out.emit({ customer: payment.customer, amount: payment.amount });
  },
});
