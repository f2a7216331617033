/* Tests of a plugin, natively and without WebAssembly: records go in as JSON and come out as columns, through all that the macros wrote.
 *
 *     #include <wasmill_test.h>
 *
 *     WM_TEST(only_a_large_amount_is_an_alert) {
 *         wm_test_open(JSON({"max_amount": 100}));
 *         wm_test_send(JSON({"customer_id": "ann", "amount": 100}));
 *         wm_test_send(JSON({"customer_id": "bob", "amount": 101}));
 *         WM_EXPECT(wm_test_run(), "out: {\"customer_id\":\"bob\",\"amount\":101.0}");
 *     }
 *
 * Compile the plugin's files, the library's src/ and testing/, and the tests into one program: it runs them all, or those whose
 * names contain its first argument, and ends with 0 when all passed. Each test begins with nothing sent, no state and no timers.
 *
 * An answer is one line for each emitted row (`PORT: JSON`), then `reject ROW: REASON`, log lines (`info: TEXT`) and counters (`count NAME: N`),
 * without a newline at the end. Texts that a function gives stay until the test ends. What goes wrong in a call fails the test. */
#ifndef WASMILL_TEST_H
#define WASMILL_TEST_H

#include <wasmill.h>

/* JSON without quotes to escape: `JSON({"amount": 7})`. A comma or a bracket in it needs no care; a macro's name in it is not replaced. */
#define JSON(...) #__VA_ARGS__

/* A test; its name says what holds. */
#define WM_TEST(name)                                                                                                   \
    static void name(void);                                                                                             \
    __attribute__((constructor)) static void name##_is_a_test(void) {                                                   \
        static wm_test test = {#name, name, NULL};                                                                      \
        wm_test_add(&test);                                                                                             \
    }                                                                                                                   \
    static void name(void)

/* Fails the test when the texts differ, and shows both. */
#define WM_EXPECT(actual, expected) wm_test_expect(__FILE__, __LINE__, actual, expected)

/* Fails the test when `condition` does not hold. */
#define WM_EXPECT_TRUE(condition) wm_test_expect_true(__FILE__, __LINE__, condition, #condition)

/* Opens the plugin with this configuration. */
void wm_test_open(const char *config);

/* Why the plugin refuses this configuration, or NULL when it takes it. */
const char *wm_test_config_error(const char *config);

/* A record, and what a broker keeps beside it. What is not named is empty. */
typedef struct wm_test_row {
    const char *value;  /* JSON; NULL is a tombstone. */
    wm_str bytes;       /* The value, where it is no JSON. */
    const char *key;    /* NULL for none. */
    int64_t time;       /* Event time, milliseconds since the Unix epoch. */
    const char *header; /* The name of a header; NULL for none. */
    wm_str header_value;
    const char *topic;
    int64_t partition, offset;
} wm_test_row;

/* Adds a record to those that the next call is made with. */
void wm_test_send(const char *value);
#define wm_test_send_row(...) wm_test_send_one((wm_test_row){__VA_ARGS__})
void wm_test_send_one(wm_test_row row);

/* As `key = "FIELD"` of a keyed step: records without a key get this field's value as theirs. Names the field for what is sent after it. */
void wm_test_key(const char *field);

/* Hands the records over as one batch, those of a keyed plugin grouped by key in the order of the keys. */
const char *wm_test_run(void);

/* Hands the records over, which must fail the call, and gives its message: `FILE:LINE: ...` of a WM_FAIL, or the error of the library. */
const char *wm_test_failure(void);

/* Keyed: moves the watermark to `watermark`, milliseconds since the Unix epoch, and fires the timers that it passes, in the order of their times. */
const char *wm_test_advance(int64_t watermark);

/* Keyed: the state of a key, as `wm_state` gives it, or NULL. */
const void *wm_test_state(const char *key);

/* Keyed: how many keys have a state. */
size_t wm_test_keys(void);

/* Keyed: a line `KEY ID TIME` for each timer that is set. */
const char *wm_test_timers(void);

/* Aggregate: folds the records into one window of `key` and finishes it. They are also folded in two halves and merged, wherever they can be
 * cut, which must give the same. */
const char *wm_test_fold(const char *key, int64_t start, int64_t end);

typedef struct wm_test {
    const char *name;
    void (*run)(void);
    struct wm_test *next;
} wm_test;

void wm_test_add(wm_test *test);
void wm_test_expect(const char *file, int line, const char *actual, const char *expected);
void wm_test_expect_true(const char *file, int line, bool holds, const char *condition);

#endif
