/* mcpauth audit tail: the last records, and those that follow, through rotations. */
#include <config.h>

#include "cli/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum { BLOCK = 65536, LINE_MOST = 2 * LIMIT_AUDIT_RECORD, LOOK_MS = 200 };

/* ------------------------------------------------------------------ one record as text */

static bool plain_word(struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=')
      return false;
  return s.n > 0;
}

/* Nothing that a record quotes may speak to the terminal (row 174): what is not a plain word is
 * written as JSON, which escapes control characters. */
static void put_word(struct buf *out, struct str s)
{
  if (plain_word(s))
    buf_str(out, s);
  else
    buf_json(out, s);
}

static void put_value(struct buf *out, const json_t *v)
{
  if (json_is_string(v)) {
    put_word(out, json_text(v));
  } else {
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    for (const char *p = text ? text : "?"; *p; p++)
      if (*p == 0x7f) /* ASCII, but no printable one */
        buf_puts(out, "\\u007f");
      else
        buf_putc(out, *p);
    free(text);
  }
}

static bool in_head(const char *name)
{
  static const char *const head[] = {"t", "event", "id", "w", "n", "mac"};
  for (size_t i = 0; i < ARRAY_SIZE(head); i++)
    if (strcmp(name, head[i]) == 0)
      return true;
  return false;
}

/* The reason of a line that refused; one that it did not concern tells nothing. */
static void put_reason(struct buf *out, const json_t *line)
{
  struct str result = json_text(json_object_get(line, "result"));
  const json_t *reason = json_object_get(line, "reason");
  if (!json_is_string(reason) || str_is(result, "OK") || str_is(result, "IGNORE"))
    return;
  buf_putc(out, '(');
  put_value(out, reason);
  buf_putc(out, ')');
}

/* "provider:RESULT(reason)" of each line of the stack, in place of the trace. */
static void put_trace(struct buf *out, const json_t *trace)
{
  size_t i;
  json_t *line;
  json_array_foreach(trace, i, line)
  {
    buf_puts(out, i ? "," : " trace=");
    put_value(out, json_object_get(line, "provider"));
    buf_putc(out, ':');
    put_value(out, json_object_get(line, "result"));
    put_reason(out, line);
  }
}

static void format(struct buf *out, json_t *record)
{
  static const char *const first[] = {"t", "event", "id"};
  const char *name;
  json_t *value;
  for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
    value = json_object_get(record, first[i]);
    if (i)
      buf_putc(out, ' ');
    if (json_string_length(value))
      put_value(out, value);
    else
      buf_putc(out, '-');
  }
  json_object_foreach(record, name, value)
  {
    if (in_head(name))
      continue;
    if (strcmp(name, "trace") == 0) {
      put_trace(out, value);
      continue;
    }
    buf_putc(out, ' ');
    put_word(out, str_of(name));
    buf_putc(out, '=');
    put_value(out, value);
  }
}

static int print_line(struct str line, bool json)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf out;
  buf_init(&out, 8 * LINE_MOST);
  if (str_trim(line).n == 0)
    return 0;
  CLEANUP(json_drop) json_t *record = json_parse(line, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, &e);
  if (!json_is_object(record)) {
    buf_puts(&out, "not a record: ");
    buf_json(&out, line);
  } else if (json) {
    buf_str(&out, line);
  } else {
    format(&out, record);
  }
  buf_putc(&out, '\n');
  return out.failed || fwrite(out.p, 1, out.n, stdout) != out.n ? -1 : 0;
}

/* ------------------------------------------------------------------ the file */

/* Offset of the line that begins the last N lines. */
static off_t last_lines(int fd, off_t size, unsigned long n)
{
  static char block[BLOCK];
  unsigned long seen = 0;
  for (off_t end = size; end > 0;) {
    off_t start = end > BLOCK ? end - BLOCK : 0;
    ssize_t got = pread(fd, block, (size_t)(end - start), start);
    if (got <= 0)
      return end;
    for (ssize_t i = got; i > 0; i--)
      if (block[i - 1] == '\n' && start + i < size && ++seen == n)
        return start + i;
    end = start;
  }
  return 0;
}

struct follow {
  const struct tail_options *o;
  int fd;
  struct stat st;
  struct buf text; /* what was read and is not printed yet */
};

static int print_lines(struct follow *f)
{
  size_t at = 0;
  char *end;
  while (f->text.n > at && (end = memchr(f->text.p + at, '\n', f->text.n - at))) {
    struct str line = {f->text.p + at, (size_t)(end - f->text.p) - at};
    if (print_line(line, f->o->json) < 0)
      return -1;
    at += line.n + 1;
  }
  buf_consume(&f->text, at);
  return fflush(stdout) ? -1 : 0;
}

/* Everything up to the end of what is there now. */
static int read_on(struct follow *f, struct err *e)
{
  for (;;) {
    char *room = buf_reserve(&f->text, BLOCK);
    ssize_t n = room ? read(f->fd, room, BLOCK) : -1;
    if (n < 0)
      return err_set(e, "%s: %s", f->o->file, room ? strerror(errno) : "a line is too long");
    if (n == 0)
      return 0;
    f->text.n += (size_t)n;
    if (print_lines(f) < 0)
      return err_set(e, "cannot write: %s", strerror(errno));
  }
}

static int open_log(struct follow *f, struct err *e)
{
  f->fd = open(f->o->file, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0 || fstat(f->fd, &f->st) < 0)
    return err_set(e, "cannot open %s: %s", f->o->file, strerror(errno));
  return 0;
}

/* Another file may have taken the name: the old one is read to its end first. */
static int wait_for_more(struct follow *f, struct err *e)
{
  struct stat now;
  nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
  if (read_on(f, e) < 0)
    return -1;
  if (stat(f->o->file, &now) < 0)
    return 0; /* between two */
  if (now.st_ino == f->st.st_ino && now.st_dev == f->st.st_dev) {
    if (now.st_size < lseek(f->fd, 0, SEEK_CUR) && lseek(f->fd, 0, SEEK_SET) == 0)
      buf_clear(&f->text); /* cut short: from its begin again */
    return 0;
  }
  close(f->fd);
  buf_clear(&f->text);
  return open_log(f, e) < 0 ? -1 : read_on(f, e);
}

int audit_tail(const struct tail_options *o, struct err *e)
{
  struct follow f = {.o = o, .fd = -1};
  buf_init(&f.text, LINE_MOST + BLOCK);
  int r = open_log(&f, e);
  if (r == 0) {
    off_t at = o->n ? last_lines(f.fd, f.st.st_size, o->n) : f.st.st_size;
    r = lseek(f.fd, at, SEEK_SET) < 0 ? err_set(e, "%s: %s", o->file, strerror(errno))
                                      : read_on(&f, e);
  }
  while (r == 0 && o->follow)
    r = wait_for_more(&f, e);
  buf_done(&f.text);
  if (f.fd >= 0)
    close(f.fd);
  return r;
}
