// The smallest whole plugin: a rule that looks at one record and its configuration.
//
// A built-in step before it, `window = { rolling = "5m" }` with `txn_count = "count()"`, adds how many transactions the customer made in the five minutes
// up to this one. Without that step only the amount counts.

import { defineTransform, fixed, t } from '../../../plugin-sdk/js/index.js';

export default defineTransform({
  name: 'fraud-rules',
  version: '0.1.0',
  description: 'Alerts on transactions of a customer that are too many in five minutes or too large',

  // An unknown key refuses the deployment.
  config: {
    max_amount: t.f64(10_000), // An amount above this is an alert.
    max_count: t.s64(5), // More transactions than this in five minutes are an alert.
  },

  // The host decodes these fields and no others. The timestamp is RFC 3339; it only goes through, so it stays text.
  reads: { customer_id: 'text', transaction_id: 'text', amount: 'f64', timestamp: 'text', txn_count: 's64?' },

  emits: { customer_id: 'text', transaction_id: 'text', amount: 'f64', alerts: 'json', timestamp: 'text' },

  process(txn, out, config) {
    const { amount } = txn;
    const count = txn.txn_count ?? 0;
    if (count <= config.max_count && amount <= config.max_amount) return; // Most records end here, and no text of theirs was decoded.
    const alerts = [];
    if (count > config.max_count) alerts.push(`High velocity: ${count} transactions in 5 min`);
    if (amount > config.max_amount) alerts.push(`High amount: ${fixed(amount, 2)}`);
    out.emit({ customer_id: txn.customer_id, transaction_id: txn.transaction_id, amount, alerts, timestamp: txn.timestamp });
  },
});
