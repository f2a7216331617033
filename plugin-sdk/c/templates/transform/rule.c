/* Alerts on transactions that are too large. */
#include <wasmill.h>

/* What the rule reads. No other field is decoded; a record without one that is not optional goes to the dead letters. */
WM_RECORD(txn,
    text(customer_id),
    f64(amount),
    optional(text, note)
);

/* What it writes, in this order. */
WM_ROW(alert,
    text(customer_id),
    f64(amount),
    optional(text, note)
);
WM_PORTS(alert);

/* The step's `config`. A wrong one is refused before anything starts. */
WM_CONFIG(config,
    f64(max_amount, 10000)
);

static void rule(const txn *t, const config *c, wm_out *out) {
    if (t->amount < 0)
        wm_reject(out, "a negative amount"); /* To the dead letters, with this reason. */
    else if (t->amount > c->max_amount)
        WM_EMIT(out, alert, .customer_id = t->customer_id, .amount = t->amount, .note = t->note);
}

WM_TRANSFORM(rule, txn, config,
    .name = "example-rule",
    .version = "0.1.0",
    .description = "Alerts on transactions that are too large.");
