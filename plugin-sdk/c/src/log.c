#include "sdk.h"
#include <stdio.h>

/* Longest line, in bytes; the host cuts off what is beyond 4 KiB. */
#define LINE_BYTES_MAX 4096

/* Lines are formatted on the stack, not in the call's memory: a rule may log for every record. */
static void log_line(wm_level level, const char *head, const char *format, va_list args) {
    char line[LINE_BYTES_MAX];
    int len = snprintf(line, sizeof line, "%s", head);
    const size_t used = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
    len = vsnprintf(line + used, sizeof line - used, format, args);
    size_t end = used + (len > 0 ? (size_t)len : 0);
    if (end >= sizeof line)
        end = sizeof line - 1;
    for (size_t i = 0; i < 3 && !wm_is_utf8((wm_str){line, end}); i++)
        end--; /* The end was cut within a character. */
    const wm_str text = {line, end};
    wm_host_log(level, wm_is_utf8(text) ? text : WM_STR("(a log line that is not UTF-8)"));
}

void wm_log(wm_level level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line(level, "", format, args);
    va_end(args);
}

void wm_count(const char *name, uint64_t amount) {
    wm_host_count(wm_str_of(name), amount);
}

void wm_fail_at(const char *file, int line, const char *format, ...) {
    char head[256];
    snprintf(head, sizeof head, "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    log_line(WM_CRITICAL, head, format, args);
    va_end(args);
    wm_host_stop();
}
