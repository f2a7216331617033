// Passes half of the records on.

import { defineTransform } from '../../../../plugin-sdk/js/index.js';

export default defineTransform({
  name: 'filter-rows',
  reads: { amount: 'f64', customer: 'text?' },
  process(payment, out) {
    if (payment.amount > 10_000) out.pass();
  },
});
