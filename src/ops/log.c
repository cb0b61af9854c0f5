/* The log of one process; see log.h.  A line is built in a buffer on the stack and goes out in one
 * write, so that lines of several threads and processes never mix.  Whatever would end or disguise
 * a line for some reader (C0, DEL, C1, U+2028, U+2029, bytes that are not UTF-8) is escaped, in the
 * text form too. */
#include "ops/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/limits.h"
#include "util/str.h"

static struct {
  char process[32];
  bool json;
  atomic_int level;
  atomic_ulong lost; /* lines that could not be written since the last one that could */
} the = {.process = "mcpauth", .level = MCPAUTH_LOG_INFO};

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
static const char *const level_json[] = {"error", "warn", "info", "debug"};

void log_init(const char *process, bool json, int level)
{
  snprintf(the.process, sizeof the.process, "%s", process);
  the.json = json;
  atomic_store(&the.level, level);
}

bool log_on(int level)
{
  return level <= atomic_load_explicit(&the.level, memory_order_relaxed);
}

/* A line under construction; `end` leaves room for what must follow the message. */
struct line {
  char bytes[LIMIT_LOG_LINE];
  size_t n, end;
};

static bool line_add(struct line *l, const char *p, size_t n)
{
  if (n > l->end - l->n)
    return false;
  memcpy(l->bytes + l->n, p, n);
  l->n += n;
  return true;
}

/* Bytes of the well-formed character at P; 0 when there is none. */
static size_t char_length(const unsigned char *p, size_t n)
{
  size_t step = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  return step <= n && str_utf8((struct str){(const char *)p, step}) ? step : 0;
}

static void escape_byte(unsigned char c, bool json, char out[16])
{
  if (json)
    snprintf(out, 16, "\\u%04x", c);
  else
    snprintf(out, 16, "\\x%02x", c);
}

/* The escape for the character of STEP bytes at P (0: a bad byte); "" when it goes out as it is. */
static void escape(const unsigned char *p, size_t step, bool json, char out[16])
{
  out[0] = 0;
  if (step == 0 && json)
    snprintf(out, 16, "\\ufffd");
  else if (step == 0 || (step == 1 && (p[0] < 0x20 || p[0] == 0x7f)))
    escape_byte(p[0], json, out);
  else if (step == 1 && json && (p[0] == '"' || p[0] == '\\'))
    snprintf(out, 16, "\\%c", p[0]);
  else if (step == 2 && p[0] == 0xc2 && p[1] < 0xa0)
    escape_byte(p[1], json, out);
  else if (step == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
    snprintf(out, 16, "\\u20%02x", p[2] - 0x80u);
}

/* False when the line is full: the text is cut there, never in the middle of a character. */
static bool line_text(struct line *l, const char *text, bool json)
{
  const unsigned char *p = (const unsigned char *)text;
  for (size_t n = strlen(text), step; n; p += step, n -= step) {
    char out[16];
    step = char_length(p, n);
    escape(p, step, json, out);
    if (!line_add(l, out[0] ? out : (const char *)p, out[0] ? strlen(out) : step))
      return false;
    step += step == 0;
  }
  return true;
}

/* One write a line.  A signal or a full pipe may cut it: the rest follows at once. */
static void line_out(const struct line *l)
{
  for (size_t at = 0; at < l->n;) {
    ssize_t w = write(STDERR_FILENO, l->bytes + at, l->n - at);
    if (w < 0 && errno == EINTR)
      continue;
    if (w < 0) { /* said by the next line that gets through */
      atomic_fetch_add(&the.lost, 1);
      return;
    }
    at += (size_t)w;
  }
}

static void emit(int level, const char *message)
{
  static const char cut_text[] = "...";
  const char *tail = the.json ? "\"}\n" : "\n";
  struct line l;
  char head[128], now[32];
  l.n = 0;
  l.end = sizeof l.bytes - strlen(tail) - (sizeof cut_text - 1);
  clock_format(clock_wall_ms(), now, sizeof now);
  int n = the.json
              ? snprintf(head, sizeof head,
                         "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"message\":\"", now,
                         level_json[level], the.process)
              : snprintf(head, sizeof head, "%s %s %s: ", now, level_names[level], the.process);
  line_add(&l, head, n < 0 ? 0 : (size_t)n);
  bool whole = line_text(&l, message, the.json);
  l.end = sizeof l.bytes;
  if (!whole)
    line_add(&l, cut_text, sizeof cut_text - 1);
  line_add(&l, tail, strlen(tail));
  line_out(&l);
}

void log_at(int level, const char *format, ...)
{
  if (level < MCPAUTH_LOG_ERROR || level > MCPAUTH_LOG_DEBUG)
    level = MCPAUTH_LOG_ERROR;
  if (!log_on(level))
    return;
  int saved = errno;
  char message[LIMIT_LOG_LINE];
  va_list ap;
  va_start(ap, format);
  vsnprintf(message, sizeof message, format, ap);
  va_end(ap);
  unsigned long lost = atomic_exchange(&the.lost, 0);
  if (lost) {
    char text[80];
    snprintf(text, sizeof text, "%lu log lines before this one could not be written", lost);
    emit(MCPAUTH_LOG_WARN, text);
  }
  emit(level, message);
  errno = saved;
}
