// Counts the records of each key, and writes every sixteenth count of a key.

import { defineKeyed } from '../../../../plugin-sdk/js/index.js';

export default defineKeyed({
  name: 'count-rows',
  reads: { amount: 'f64', customer: 'text?' },
  emits: { count: 's64' },
  process(payment, key, out) {
    const count = (key.state ?? 0) + 1;
    key.state = count;
    if (count % 16 === 0) out.emit({ count });
  },
});
