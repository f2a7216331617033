/* Runs the tests of a program, and stands for the host: it keeps what a plugin logs and counts. */
#include "driver.h"
#include <stdio.h>
#include <stdlib.h>

static wm_test *tests, **last = &tests;
static jmp_buf test_guard;
static lines logs;

jmp_buf *call_guard;
wm_str call_failure;

typedef struct counter {
    wm_str name;
    uint64_t amount;
    struct counter *next;
} counter;

static counter *counters;

void wm_test_add(wm_test *test) {
    *last = test;
    last = &test->next;
}

void wm_host_log(wm_level level, wm_str message) {
    static const char *const names[] = {"trace", "debug", "info", "warn", "error", "critical"};
    if (level == WM_CRITICAL)
        call_failure = wm_copy(message);
    lines_add(&logs, "%s: %.*s", names[level], WM_ARG(message));
}

void wm_host_count(wm_str name, uint64_t amount) {
    counter **at = &counters;
    while (*at && !wm_equal((*at)->name, name))
        at = &(*at)->next;
    if (!*at) {
        *at = wm_alloc(sizeof **at);
        (*at)->name = wm_copy(name);
    }
    (*at)->amount += amount;
}

_Noreturn void wm_host_stop(void) {
    if (call_guard)
        longjmp(*call_guard, 1);
    fprintf(stderr, "%.*s\n", WM_ARG(call_failure));
    exit(1);
}

void print_caught(lines *to) {
    if (logs.text.len)
        lines_add(to, "%.*s", WM_ARG(logs.text));
    for (const counter *at = counters; at; at = at->next)
        lines_add(to, "count %.*s: %llu", WM_ARG(at->name), (unsigned long long)at->amount);
    logs = (lines){{NULL, 0}};
    counters = NULL;
}

_Noreturn void test_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    longjmp(test_guard, 1);
}

void wm_test_expect(const char *file, int line, const char *actual, const char *expected) {
    const char *found = actual ? actual : "(none)", *wanted = expected ? expected : "(none)";
    if ((actual == NULL) != (expected == NULL) || strcmp(found, wanted) != 0)
        test_fail("%s:%d: expected\n%s\nfound\n%s", file, line, wanted, found);
}

void wm_test_expect_true(const char *file, int line, bool holds, const char *condition) {
    if (!holds)
        test_fail("%s:%d: does not hold: %s", file, line, condition);
}

static bool passes(const wm_test *test) {
    wm_arena_reset(&wm_call_memory);
    logs = (lines){{NULL, 0}};
    counters = NULL;
    driver_reset();
    if (setjmp(test_guard))
        return false;
    test->run();
    return true;
}

int main(int count, char **arguments) {
    int passed = 0, failed = 0;
    for (const wm_test *test = tests; test; test = test->next) {
        if (count > 1 && !strstr(test->name, arguments[1]))
            continue;
        const bool good = passes(test);
        printf("%s %s\n", good ? "ok    " : "FAILED", test->name);
        passed += good;
        failed += !good;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
