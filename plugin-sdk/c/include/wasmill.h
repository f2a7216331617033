/* Write a wasmill plugin in C: the business rule as a function over a typed record, and nothing else.
 *
 *     #include <wasmill.h>
 *
 *     WM_RECORD(txn, text(customer_id), f64(amount));
 *     WM_ROW(alert, text(customer_id), f64(amount));
 *     WM_PORTS(alert);
 *     WM_CONFIG(config, f64(max_amount, 10000));
 *
 *     static void large_amount(const txn *t, const config *c, wm_out *out) {
 *         if (t->amount < 0)
 *             wm_reject(out, "a negative amount");
 *         else if (t->amount > c->max_amount)
 *             WM_EMIT(out, alert, .customer_id = t->customer_id, .amount = t->amount);
 *     }
 *
 *     WM_TRANSFORM(large_amount, txn, config, .version = "1.0.0", .description = "Alerts on transactions that are too large.");
 *
 * | a rule that                        | is declared with | see                |
 * |------------------------------------|------------------|--------------------|
 * | looks at one record                | WM_TRANSFORM     | wasmill/plugin.h   |
 * | remembers something for each key   | WM_KEYED         | wasmill/keyed.h    |
 * | folds the records of a window      | WM_AGGREGATE     | wasmill/plugin.h   |
 *
 * One file of a plugin has these declarations; it may have as many others as it likes. The same sources compile natively, where
 * wasmill_test.h drives them.
 *
 * Memory: what the library hands out (`wm_format`, `wm_alloc`, texts of records and states) stays until the call that handed it
 * out has been answered, which is at least until the rule returns; nothing is freed by hand. Only a configuration stays for
 * ever. A plugin keeps nothing of a record in variables of its own: what is to be remembered is state. */
#ifndef WASMILL_H
#define WASMILL_H

/* The order of a record's way: read, decided on, written. */
#include <wasmill/each.h>
#include <wasmill/text.h>
#include <wasmill/log.h>
#include <wasmill/wire.h>
#include <wasmill/record.h>
#include <wasmill/output.h>
#include <wasmill/json.h>
#include <wasmill/object.h>
#include <wasmill/keyed.h>
#include <wasmill/plugin.h>

#endif
