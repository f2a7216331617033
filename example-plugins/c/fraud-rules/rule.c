/* The smallest whole plugin: a rule that looks at one record and its configuration.
 *
 * A built-in step before it, `window = { rolling = "5m" }` with `txn_count = "count()"`, adds how many transactions the customer
 * made in the five minutes up to this one. Without that step only the amount counts. */
#include <wasmill.h>

/* What the rule reads. The host decodes these fields and no others; a record that lacks one that is not optional, or holds
 * another kind there, is dead-lettered before it gets here. `timestamp` is RFC 3339 and only goes through, so it stays text. */
WM_RECORD(txn,
    text(customer_id),
    text(transaction_id),
    f64(amount),
    text(timestamp),
    optional(s64, txn_count)
);

/* What the rule says, in this order. Texts are those of the record: nothing is copied before the output's columns. */
WM_ROW(alert,
    text(customer_id),
    text(transaction_id),
    f64(amount),
    json(alerts),
    text(timestamp)
);
WM_PORTS(alert);

/* The step's `config`. An unknown key refuses the deployment. */
WM_CONFIG(config,
    f64(max_amount, 10000), /* An amount above this is an alert. */
    s64(max_count, 5)       /* More transactions than this in five minutes are an alert. */
);

static void fraud_rules(const txn *t, const config *c, wm_out *out) {
    const int64_t count = wm_or(t->txn_count, 0);
    if (count <= c->max_count && t->amount <= c->max_amount)
        return; /* Most records end here. */
    wm_json_writer alerts = {0};
    wm_json_begin_array(&alerts);
    if (count > c->max_count)
        wm_json_put_format(&alerts, "High velocity: %lld transactions in 5 min", (long long)count);
    if (t->amount > c->max_amount)
        wm_json_put_format(&alerts, "High amount: %.2f", t->amount);
    wm_json_end_array(&alerts);
    WM_EMIT(out, alert,
        .customer_id = t->customer_id,
        .transaction_id = t->transaction_id,
        .amount = t->amount,
        .alerts = wm_json_done(&alerts),
        .timestamp = t->timestamp);
}

WM_TRANSFORM(fraud_rules, txn, config,
    .name = "fraud-rules",
    .version = "1.0.0",
    .description = "Alerts on transactions of a customer that are too many in five minutes or too large.");
