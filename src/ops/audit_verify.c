/* The verifier of audit files; see audit_verify.h. */
#include <config.h>

#include "ops/audit_verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ops/audit_chain.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum {
  READ_SIZE = 1 << 20,
  LINE_MAX_SIZE = 2 * LIMIT_AUDIT_RECORD,
  CLOCK_SLACK_MS = 100, /* between the clock of a record and its place in the files */
};

struct chain {
  struct audit_head head;
  bool ended, faulty;
};

/* A file of the state directory, as it was before the log was read. */
struct anchor {
  struct anchor *next;
  char *path;
  struct buf text;
};

struct audit_verify {
  struct audit_hmac *hmac;
  audit_finding_fn *finding;
  void *arg;
  const char *file;
  uint64_t line;
  json_t *names; /* writer → index in chains */
  struct chain *chains;
  size_t n_chains, cap;
  char last[AUDIT_WRITER_MAX + 1]; /* the chain looked up last */
  size_t last_at;
  int64_t first_ms; /* time of the first record; -1: none yet */
  struct anchor *anchors;
  struct audit_verify_result result;
};

__attribute__((format(printf, 3, 4))) static void found(struct audit_verify *v, bool fault,
                                                        const char *format, ...)
{
  char text[400];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  v->result.faults += fault;
  v->finding(v->arg, fault, v->file, v->line, text);
}

struct audit_verify *audit_verify_new(const unsigned char key[32], audit_finding_fn *finding,
                                      void *arg, struct err *e)
{
  struct audit_verify *v = calloc(1, sizeof *v);
  if (v && (v->hmac = audit_hmac_new(key, e)) && (v->names = json_object())) {
    v->finding = finding;
    v->arg = arg;
    v->first_ms = -1;
    return v;
  }
  audit_verify_free(v);
  err_set(e, "out of memory");
  return NULL;
}

void audit_verify_free(struct audit_verify *v)
{
  if (v == NULL)
    return;
  for (struct anchor *a = v->anchors, *next; a; a = next) {
    next = a->next;
    buf_done(&a->text);
    free(a->path);
    free(a);
  }
  audit_hmac_free(v->hmac);
  json_decref(v->names);
  free(v->chains);
  free(v);
}

/* ------------------------------------------------------------------ chains */

static struct chain *chain_find(struct audit_verify *v, struct str writer)
{
  if (str_is(writer, v->last))
    return &v->chains[v->last_at];
  memcpy(v->last, writer.p, writer.n);
  v->last[writer.n] = 0;
  json_t *at = json_object_get(v->names, v->last);
  if (at == NULL) {
    v->last[0] = 0;
    return NULL;
  }
  v->last_at = (size_t)json_integer_value(at);
  return &v->chains[v->last_at];
}

static struct chain *chain_add(struct audit_verify *v, struct str writer)
{
  char name[AUDIT_WRITER_MAX + 1];
  if (v->n_chains == v->cap) {
    size_t cap = v->cap ? 2 * v->cap : 64;
    struct chain *more = reallocarray(v->chains, cap, sizeof *more);
    if (more == NULL)
      return NULL;
    v->chains = more;
    v->cap = cap;
  }
  memcpy(name, writer.p, writer.n);
  name[writer.n] = 0;
  if (json_object_set_new(v->names, name, json_integer((json_int_t)v->n_chains)) < 0)
    return NULL;
  v->chains[v->n_chains] = (struct chain){.ended = false};
  return &v->chains[v->n_chains++];
}

/* "2026-11-21T04:08:29.123Z" in milliseconds; -1 when it is not a time. */
static int64_t time_ms(struct str t)
{
  char text[32];
  struct tm tm = {0};
  if (t.n != 24)
    return -1;
  memcpy(text, t.p, t.n);
  text[t.n] = 0;
  char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
  if (end == NULL || *end != '.')
    return -1;
  return (int64_t)timegm(&tm) * 1000 + strtol(end + 1, NULL, 10);
}

/* ------------------------------------------------------------------ anchors */

static void check_head(struct audit_verify *v, struct str writer, uint64_t n, int64_t at_ms,
                       struct str mac)
{
  struct chain *c = chain_find(v, writer);
  char hex[2 * AUDIT_MAC + 1];
  if (n == 0)
    return; /* a writer that died before its head was known */
  if (c == NULL && (v->first_ms < 0 || at_ms < v->first_ms + CLOCK_SLACK_MS)) {
    found(v, false, "writer %.*s: its records, up to %" PRIu64 ", are older than these files",
          STR_ARG(writer), n);
    return;
  }
  if (c == NULL || c->head.n < n) {
    found(v, true,
          "writer %.*s had written record %" PRIu64 "; the files end at %" PRIu64
          " (cut, put back to an older state, or lost with the power)",
          STR_ARG(writer), n, c ? c->head.n : 0);
    return;
  }
  for (size_t i = 0; i < AUDIT_MAC; i++)
    snprintf(hex + 2 * i, 3, "%02x", c->head.mac[i]);
  if (c->head.n == n && !str_is(mac, hex))
    found(v, true, "writer %.*s: record %" PRIu64 " is not the one that was anchored",
          STR_ARG(writer), n);
}

static void check_heads(struct audit_verify *v, struct str members)
{
  CLEANUP(buf_done) struct buf text;
  struct err e = {""};
  json_t *head;
  size_t i;
  buf_init(&text, LIMIT_AUDIT_RECORD + 16);
  buf_putc(&text, '{');
  buf_str(&text, members);
  buf_putc(&text, '}');
  CLEANUP(json_drop)
  json_t *j = text.failed ? NULL : json_parse(buf_view(&text), 4, LIMIT_JWT_VALUES, &e);
  json_t *heads = json_object_get(j, "heads");
  if (!json_is_array(heads)) {
    found(v, true, "an anchor without heads: %s", e.text);
    return;
  }
  json_array_foreach(heads, i, head)
  {
    struct str writer = json_str(head, "w");
    if (!audit_writer_valid(writer)) {
      found(v, true, "an anchor of nobody");
      continue;
    }
    check_head(v, writer, (uint64_t)json_integer_value(json_object_get(head, "n")),
               json_integer_value(json_object_get(head, "at")), json_str(head, "head"));
  }
}

/* ------------------------------------------------------------------ records */

static const unsigned char zero[AUDIT_MAC];

static bool mac_fits(struct audit_verify *v, const struct audit_record *r,
                     const unsigned char previous[AUDIT_MAC])
{
  unsigned char mac[AUDIT_MAC];
  return audit_hmac_step(v->hmac, previous, r->body, mac) == 0 &&
         memcmp(mac, r->head.mac, sizeof mac) == 0;
}

/* The first record of a chain in these files; false when that cannot be judged. */
static bool first_fits(struct audit_verify *v, const struct audit_record *r)
{
  unsigned char previous[AUDIT_MAC];
  size_t n;
  if (r->head.n == 1)
    return str_is(r->event, "chain_start") && mac_fits(v, r, zero);
  struct str prev = audit_member(r->members, "prev");
  return str_is(r->event, "continued") && hex_decode(prev, previous, sizeof previous, &n) == 0 &&
         n == sizeof previous && mac_fits(v, r, previous);
}

/* One fault a chain is told in full: what follows from it is only counted. */
static void chain_fault(struct audit_verify *v, struct chain *c, const char *text,
                        const struct audit_record *r)
{
  if (c->faulty) {
    v->result.faults++;
    return;
  }
  c->faulty = true;
  found(v, true, "record %" PRIu64 " of writer %.*s %s", r->head.n, STR_ARG(r->writer), text);
}

static void check_place(struct audit_verify *v, struct chain *c, const struct audit_record *r)
{
  if (c->ended)
    chain_fault(v, c, "stands behind the end of its chain", r);
  else if (r->head.n <= c->head.n)
    chain_fault(v, c, "is here again, or was moved", r);
  else if (r->head.n > c->head.n + 1)
    chain_fault(v, c, "follows a gap: records before it are missing", r);
  else if (!mac_fits(v, r, c->head.mac))
    chain_fault(v, c, "has been changed", r);
}

static void check_event(struct audit_verify *v, struct chain *c, const struct audit_record *r)
{
  uint64_t lost;
  if (str_is(r->event, "chain_end"))
    c->ended = true;
  else if (str_is(r->event, "anchor"))
    check_heads(v, r->members);
  else if (str_is(r->event, "anchor_file"))
    chain_fault(v, c, "does not belong into a log", r);
  else if (str_is(r->event, "audit_gap") &&
           str_u64(audit_member(r->members, "lost"), UINT64_MAX, &lost)) {
    v->result.lost += lost;
    found(v, false, "writer %.*s could not write %" PRIu64 " records before this one",
          STR_ARG(r->writer), lost);
  }
}

static void check_record(struct audit_verify *v, const struct audit_record *r)
{
  struct chain *c = chain_find(v, r->writer);
  v->result.records++;
  if (v->first_ms < 0)
    v->first_ms = time_ms(r->time);
  if (c) {
    check_place(v, c, r);
  } else {
    c = chain_add(v, r->writer);
    if (c == NULL) {
      found(v, true, "out of memory");
      return;
    }
    if (!first_fits(v, r))
      chain_fault(v, c,
                  "is the first of its chain here and cannot be: others are missing, "
                  "or it has been changed",
                  r);
  }
  if (r->head.n > c->head.n)
    c->head = r->head;
  if (!c->faulty)
    check_event(v, c, r);
}

/* ------------------------------------------------------------------ lines */

static const char begin_text[] = "{\"t\":\"";

static bool is_blank(struct str line)
{
  for (size_t i = 0; i < line.n; i++)
    if (line.p[i] != ' ')
      return false;
  return true;
}

/* TEXT is the begin of HEX"} and not all of it. */
static bool is_begin_of_mac(struct str text)
{
  static const char end[] = "\"}";
  if (text.n >= 2 * AUDIT_MAC + sizeof end - 1)
    return false;
  for (size_t i = 0; i < text.n; i++)
    if (i < 2 * AUDIT_MAC ? !memchr("0123456789abcdef", text.p[i], 16)
                          : text.p[i] != end[i - 2 * AUDIT_MAC])
      return false;
  return true;
}

/* The begin of a record whose writer was killed in the middle of it: no whole mac was ever there.
 * Who makes the last record of a chain look like that has cut it off, which anchors tell. */
static bool is_torn(struct str text)
{
  static const char mac[] = "\"mac\":\"";
  size_t n = text.n < sizeof begin_text - 1 ? text.n : sizeof begin_text - 1;
  if (text.n == 0 || memcmp(text.p, begin_text, n) != 0)
    return false;
  const char *at = memmem(text.p, text.n, mac, sizeof mac - 1);
  return at == NULL ||
         is_begin_of_mac(str_slice(text, (size_t)(at - text.p) + sizeof mac - 1, text.n));
}

static const char torn_text[] = "the begin of a record whose writer was killed while writing it";

/* A line that is not one record: torn by a writer that died, perhaps with somebody else's whole
 * record behind it; else a fault. */
static void check_odd_line(struct audit_verify *v, struct str line, bool ended)
{
  struct audit_record r;
  for (size_t at = line.n > 6 ? line.n - 6 : 0; at > 0; at--) {
    if (memcmp(line.p + at, begin_text, sizeof begin_text - 1) != 0)
      continue;
    if (!audit_record_parse(str_slice(line, at, line.n), &r))
      continue;
    if (!is_torn(str_slice(line, 0, at)))
      break;
    found(v, false, "%s", torn_text);
    check_record(v, &r);
    return;
  }
  if (!ended && is_torn(line))
    found(v, false, "%s", torn_text);
  else
    found(v, true, "this line is not a record");
}

/* A torn record and a whole one may together look like one. */
static bool has_second(struct str line)
{
  return memmem(line.p + 1, line.n - 1, begin_text, sizeof begin_text - 1) != NULL;
}

static void check_line(struct audit_verify *v, struct str line, bool ended)
{
  struct audit_record r;
  v->line++;
  if (audit_record_parse(line, &r) && !has_second(line))
    check_record(v, &r);
  else if (!is_blank(line))
    check_odd_line(v, line, ended);
}

/* The whole lines in *TEXT; what is left stays. */
static void check_lines(struct audit_verify *v, struct buf *text)
{
  size_t at = 0;
  for (char *end; (end = memchr(text->p + at, '\n', text->n - at));
       at = (size_t)(end - text->p) + 1)
    check_line(v, (struct str){text->p + at, (size_t)(end - text->p) - at}, true);
  buf_consume(text, at);
}

static int verify_fd(struct audit_verify *v, int fd, struct buf *text, struct err *e)
{
  for (;;) {
    char *room = buf_reserve(text, READ_SIZE);
    ssize_t n = room ? read(fd, room, READ_SIZE) : -1;
    if (n < 0 && room && errno == EINTR)
      continue;
    if (n < 0)
      return err_set(e, "%s: %s", v->file, room ? strerror(errno) : "a line is too long");
    if (n == 0)
      break;
    text->n += (size_t)n;
    check_lines(v, text);
  }
  if (text->n)
    check_line(v, buf_view(text), false);
  return 0;
}

int audit_verify_fd(struct audit_verify *v, const char *path, int fd, struct err *e)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, READ_SIZE + LINE_MAX_SIZE);
  v->file = path;
  v->line = 0;
  return verify_fd(v, fd, &text, e);
}

int audit_verify_file(struct audit_verify *v, const char *path, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return err_set(e, "cannot open %s: %s", path, strerror(errno));
  return audit_verify_fd(v, path, fd, e);
}

/* ------------------------------------------------------------------ anchor files */

static void check_anchor_file(struct audit_verify *v, struct str text)
{
  struct str line;
  struct audit_record r;
  v->line = 0;
  while (str_next(&text, '\n', &line) && line.n) {
    v->line++;
    if (audit_record_parse(line, &r) && str_is(r.event, "anchor_file") && mac_fits(v, &r, zero))
      check_heads(v, r.members);
    else
      found(v, true, "this is not an anchor that this key has made");
  }
}

static int read_anchor(struct audit_verify *v, const char *path, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return 0; /* taken over by a leader just now: it is in the log */
  struct anchor *a = fd >= 0 ? calloc(1, sizeof *a) : NULL;
  if (a == NULL)
    return err_set(e, "cannot read %s: %s", path, strerror(errno));
  a->next = v->anchors;
  v->anchors = a;
  buf_init(&a->text, READ_SIZE);
  char *room = buf_reserve(&a->text, READ_SIZE - 1);
  ssize_t n = room ? read(fd, room, READ_SIZE - 1) : -1;
  if (n < 0 || (a->path = strdup(path)) == NULL)
    return err_set(e, "cannot read %s: %s", path, strerror(errno));
  a->text.n = (size_t)n;
  return 0;
}

int audit_verify_read_anchors(struct audit_verify *v, const char *state_dir, struct err *e)
{
  char path[4096];
  int r = 0;
  DIR *d = opendir(state_dir);
  if (d == NULL)
    return err_set(e, "cannot read %s: %s", state_dir, strerror(errno));
  for (struct dirent *entry; r == 0 && (entry = readdir(d));) {
    struct str name = str_of(entry->d_name);
    if (!str_starts(name, "audit-anchor.") || str_ends(name, ".new"))
      continue;
    snprintf(path, sizeof path, "%s/%s", state_dir, entry->d_name);
    r = read_anchor(v, path, e);
  }
  closedir(d);
  return r;
}

void audit_verify_anchors(struct audit_verify *v)
{
  for (const struct anchor *a = v->anchors; a; a = a->next) {
    v->file = a->path;
    check_anchor_file(v, buf_view(&a->text));
  }
}

void audit_verify_result(const struct audit_verify *v, struct audit_verify_result *ret)
{
  *ret = v->result;
  ret->chains = v->n_chains;
  for (size_t i = 0; i < v->n_chains; i++)
    ret->open += !v->chains[i].ended;
}
