/* Time; see clock.h. */
#include "util/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t frozen_wall = -1, frozen_mono = -1;

static int64_t read_us(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
  return frozen_wall >= 0 ? frozen_wall : read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_wall(void)
{
  return clock_wall_ms() / 1000;
}

int64_t clock_mono_us(void)
{
  return frozen_mono >= 0 ? frozen_mono * 1000 : read_us(CLOCK_BOOTTIME);
}

int64_t clock_mono_ms(void)
{
  return clock_mono_us() / 1000;
}

void clock_freeze(int64_t wall_ms, int64_t mono_ms)
{
  frozen_wall = wall_ms;
  frozen_mono = mono_ms;
}

void clock_format(int64_t wall_ms, char *out, unsigned size)
{
  time_t t = (time_t)(wall_ms / 1000);
  struct tm tm;
  char day[24];
  gmtime_r(&t, &tm);
  strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(out, size, "%s.%03dZ", day, (int)(wall_ms % 1000));
}
