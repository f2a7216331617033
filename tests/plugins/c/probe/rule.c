/* Tries what a plugin may not, and fails in the ways that C can: one for each `try` of a record. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wasmill.h>

WM_RECORD(attempt, text(try));
WM_ROW(answer, text(try), text(answer));
WM_PORTS(answer);

static volatile int zero = 0;

static int deeper(volatile int *depth) {
    volatile char frame[1024];
    frame[0] = (char)*depth;
    *depth += 1;
    return *depth ? deeper(depth) + frame[0] : 0;
}

static wm_str opened(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (!file)
        return wm_format("refused: %s", strerror(errno));
    fclose(file);
    return WM_STR("opened");
}

static wm_str tried(wm_str what) {
    if (wm_equal(what, WM_STR("read")))
        return opened("/etc/passwd", "r");
    if (wm_equal(what, WM_STR("write")))
        return opened("/tmp/x", "w");
    if (wm_equal(what, WM_STR("socket"))) {
        const int file = accept(5, NULL, NULL);
        return file < 0 ? wm_format("refused: %s", strerror(errno)) : WM_STR("accepted");
    }
    if (wm_equal(what, WM_STR("environment")))
        return wm_str_of(getenv("HOME") ? getenv("HOME") : "none");
    if (wm_equal(what, WM_STR("clock")))
        return wm_format("%lld", (long long)time(NULL));
    if (wm_equal(what, WM_STR("random"))) {
        uint32_t bytes = 0;
        return getentropy(&bytes, sizeof bytes) ? WM_STR("refused") : wm_format("%u", (unsigned)bytes);
    }
    if (wm_equal(what, WM_STR("rand")))
        return wm_format("%d", rand());
    if (wm_equal(what, WM_STR("print")))
        return printf("printed by a plugin\n") > 0 && fflush(stdout) == 0 ? WM_STR("printed") : WM_STR("refused");
    if (wm_equal(what, WM_STR("stdin")))
        return getchar() == EOF ? WM_STR("at its end") : WM_STR("read");
    if (wm_equal(what, WM_STR("fail")))
        WM_FAIL("cannot go on with %d", 7);
    if (wm_equal(what, WM_STR("wm_assert")))
        WM_ASSERT(what.len == 1, "%zu is not 1", what.len);
    if (wm_equal(what, WM_STR("assert")))
        assert(what.len == 2);
    if (wm_equal(what, WM_STR("abort")))
        abort();
    if (wm_equal(what, WM_STR("exit")))
        exit(3);
    if (wm_equal(what, WM_STR("divide")))
        return wm_format("%d", 7 / zero);
    if (wm_equal(what, WM_STR("stack"))) {
        volatile int depth = 1;
        return wm_format("%d", deeper(&depth));
    }
    if (wm_equal(what, WM_STR("memory")))
        return wm_copy((wm_str){wm_alloc((size_t)3 << 30), 1});
    return WM_STR("nothing");
}

static void rule(const attempt *a, const wm_no_config *c, wm_out *out) {
    (void)c;
    WM_EMIT(out, answer, .try = a->try, .answer = tried(a->try));
}

WM_TRANSFORM(rule, attempt, wm_no_config, .name = "probe", .version = "0.1.0",
    .description = "Tries what a plugin may not, and fails in the ways that C can.");
