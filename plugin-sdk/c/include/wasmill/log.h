/* What a plugin tells its operator: log lines, counters, and why it cannot go on. */
#ifndef WASMILL_LOG_H
#define WASMILL_LOG_H

#include <stdint.h>
#include <stdlib.h> /* Before `abort` is replaced. */

typedef enum wm_level { WM_TRACE, WM_DEBUG, WM_INFO, WM_WARN, WM_ERROR, WM_CRITICAL } wm_level;

/* Writes a line to wasmill's log, formatted as printf does. The host bounds how many lines a call may write, and their length. */
__attribute__((format(printf, 2, 3))) void wm_log(wm_level level, const char *format, ...);

#define wm_debug(...) wm_log(WM_DEBUG, __VA_ARGS__)
#define wm_info(...) wm_log(WM_INFO, __VA_ARGS__)
#define wm_warn(...) wm_log(WM_WARN, __VA_ARGS__)
#define wm_error(...) wm_log(WM_ERROR, __VA_ARGS__)

/* Adds to a counter, which is exported as `wasmill_plugin_NAME_total`. `name` is of letters, digits and `_`, 100 at most. What a call
 * counted is dropped when the call fails. */
void wm_count(const char *name, uint64_t amount);

/* Gives up: the record at hand goes to the dead letters with the message, the file and the line. It does not return. For what a
 * plugin's author got wrong; a record that is wrong is refused with `wm_reject`, which costs the other records nothing.
 * `assert` and `abort` end the same way. */
#define WM_FAIL(...) wm_fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* libc's ends without a word. */
#define abort() WM_FAIL("abort() was called")

/* Gives up with this message when `condition` does not hold. */
#define WM_ASSERT(condition, ...) ((condition) ? (void)0 : WM_FAIL(__VA_ARGS__))

__attribute__((format(printf, 3, 4), noreturn)) void wm_fail_at(const char *file, int line, const char *format, ...);

#endif
