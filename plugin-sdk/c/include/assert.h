/* libc's, but that a failed assertion reaches the dead letters with its file and line: libc's own would write to a standard error
 * stream that is not there. Like libc's it may be included again, after NDEBUG was changed. */
#include_next <assert.h>
#include <wasmill/log.h>

#ifndef NDEBUG
#undef assert
#define assert(condition) ((condition) ? (void)0 : wm_fail_at(__FILE__, __LINE__, "assertion failed: %s", #condition))
#endif
