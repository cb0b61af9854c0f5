/* The one source of time, so that no test sleeps to see an expiry. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

int64_t clock_wall(void);    /* seconds since 1970, UTC: what `exp` is compared with */
int64_t clock_wall_ms(void); /* milliseconds since 1970 */
int64_t clock_mono_ms(void); /* CLOCK_BOOTTIME: deadlines, cache lifetimes */
int64_t clock_mono_us(void);
/* Tests only: from now on both clocks stand at these values (negative: real time again). */
void clock_freeze(int64_t wall_ms, int64_t mono_ms);
/* "2026-11-21T04:08:29.123Z" of a wall time in milliseconds; SIZE >= 25. */
void clock_format(int64_t wall_ms, char *out, unsigned size);

#endif
