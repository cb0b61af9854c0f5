/* The leader's anchors: once a second it looks at the heads of all chains; when a writer is new or
 * has ended, after 1,000 records and after 60 s it puts an `anchor` record with all heads into its
 * own chain, and the same with its own head into STATE_DIR/audit-anchor.WRITER.  A log that has
 * been cut, or put back to an older state, lacks records that an anchor names.
 *
 * The file of a leader that has ended is taken over into the chain of the one that finds it. */
#include "ops/audit_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/log.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { ANCHOR_MS = 60000, ANCHOR_RECORDS = 1000, TICK_MS = 1000, HEADS_A_RECORD = 100 };

static const char prefix[] = "audit-anchor.";

struct known {
  char writer[AUDIT_WRITER_MAX + 1]; /* "" when the slot was free */
  uint64_t n;
};

struct audit_anchors {
  struct audit *audit;
  char *dir;
  struct timer timer;
  int64_t last_ms;
  struct known known[AUDIT_SLOTS];
};

/* A list of heads under construction; FULL takes what there is when it has HEADS_A_RECORD. */
struct heads_text {
  struct buf members;
  unsigned n;
  bool failed;
  void (*full)(struct audit_anchors *x, struct heads_text *t);
};

static void heads_begin(struct heads_text *t)
{
  buf_clear(&t->members);
  t->n = 0;
  buf_puts(&t->members, "\"heads\":[");
}

static void heads_add(struct audit_anchors *x, struct heads_text *t, const char *writer,
                      const struct audit_head *head, const char *as)
{
  buf_printf(&t->members, "%s{\"w\":\"%s\",\"n\":%" PRIu64 ",\"at\":%" PRId64 ",\"head\":\"",
             t->n++ ? "," : "", writer, head->n, head->at_ms);
  hex_encode(&t->members, (struct str){(const char *)head->mac, sizeof head->mac});
  buf_printf(&t->members, "\",\"as\":\"%s\"}", as);
  if (t->n == HEADS_A_RECORD) {
    t->full(x, t);
    heads_begin(t);
  }
}

/* ------------------------------------------------------------------ in the chain */

static void put_record(struct audit_anchors *x, struct heads_text *t)
{
  if (buf_putc(&t->members, ']') < 0 ||
      audit_put(x->audit, "anchor", "", buf_view(&t->members), NULL) < 0)
    t->failed = true;
}

/* Whether there is something that should not wait for the minute. */
static bool look(struct audit_anchors *x, bool *ret_any)
{
  uint64_t records = 0;
  bool changed = false;
  struct audit_head_view v;
  *ret_any = false;
  for (int i = 0; x->audit->heads && i < AUDIT_SLOTS; i++) {
    if (!audit_heads_read(x->audit->heads, i, &v) || i == x->audit->slot)
      continue;
    bool same = strcmp(v.writer, x->known[i].writer) == 0;
    changed |= v.ended || !same;
    records += v.head.n - (same ? x->known[i].n : 0);
    *ret_any |= v.ended || !same || v.head.n != x->known[i].n;
  }
  return changed || records >= ANCHOR_RECORDS;
}

static void anchor_slot(struct audit_anchors *x, int i, struct heads_text *t)
{
  struct known *k = &x->known[i];
  struct audit_head_view v;
  if (i == x->audit->slot)
    return;
  if (!audit_heads_read(x->audit->heads, i, &v)) {
    k->writer[0] = 0;
    return;
  }
  bool same = strcmp(v.writer, k->writer) == 0;
  if (v.ended && !audit_heads_release(x->audit->heads, i))
    return; /* another leader's */
  heads_add(x, t, v.writer, &v.head, v.ended ? "end" : same ? "live" : "start");
  memcpy(k->writer, v.writer, sizeof k->writer);
  k->n = v.head.n;
  if (v.ended)
    k->writer[0] = 0;
}

/* ------------------------------------------------------------------ in the state directory */

static void anchor_path(const struct audit_anchors *x, const char *writer, char out[4096])
{
  snprintf(out, 4096, "%s/%s%s", x->dir, prefix, writer);
}

/* Lines of an anchor file: records of their own, each first in a chain that nobody continues. */
struct saved {
  struct heads_text heads; /* first member: found again in save_line */
  struct buf lines;
};

static void save_line(struct audit_anchors *x, struct heads_text *t)
{
  struct saved *s = container_of(t, struct saved, heads);
  struct audit_head none = {0};
  char now[32];
  CLEANUP(buf_done) struct buf begin;
  buf_init(&begin, LIMIT_AUDIT_RECORD + 512);
  audit_time(x->audit, now);
  if (buf_putc(&t->members, ']') < 0 ||
      audit_record_begin(&begin, now, x->audit->writer, "anchor_file", "", buf_view(&t->members)) <
          0 ||
      audit_record_end(&s->lines, buf_view(&begin), x->audit->hmac, &none) < 0)
    t->failed = true;
}

void audit_anchors_save(struct audit_anchors *x)
{
  struct saved s = {.heads = {.full = save_line}};
  struct audit_head_view v;
  char path[4096];
  struct err e = {""};
  buf_init(&s.heads.members, LIMIT_AUDIT_RECORD);
  buf_init(&s.lines, (AUDIT_SLOTS / HEADS_A_RECORD + 2) * (LIMIT_AUDIT_RECORD + 512));
  heads_begin(&s.heads);
  heads_add(x, &s.heads, x->audit->writer, &x->audit->head, "live");
  for (int i = 0; x->audit->heads && i < AUDIT_SLOTS; i++)
    if (i != x->audit->slot && audit_heads_read(x->audit->heads, i, &v) && v.head.n > 0)
      heads_add(x, &s.heads, v.writer, &v.head, "live");
  save_line(x, &s.heads);
  anchor_path(x, x->audit->writer, path);
  if (s.heads.failed || s.lines.failed)
    err_set(&e, "out of memory for the audit anchor");
  else
    safefile_write(path, buf_view(&s.lines), &(struct safefile_how){.mode = 0600}, &e);
  if (e.text[0])
    log_error("audit: %s", e.text);
  buf_done(&s.heads.members);
  buf_done(&s.lines);
}

/* ------------------------------------------------------------------ what ended leaders left */

static bool authentic(struct audit_anchors *x, const struct audit_record *r)
{
  static const unsigned char zero[AUDIT_MAC];
  unsigned char mac[AUDIT_MAC];
  return str_is(r->event, "anchor_file") && r->head.n == 1 &&
         audit_hmac_step(x->audit->hmac, zero, r->body, mac) == 0 &&
         memcmp(mac, r->head.mac, sizeof mac) == 0;
}

/* The heads in TEXT go into our chain as they are. */
static int take_over(struct audit_anchors *x, struct str text)
{
  struct str line;
  while (text.n && str_next(&text, '\n', &line) && line.n) {
    struct audit_record r;
    if (!audit_record_parse(line, &r) || !authentic(x, &r))
      return -1;
    if (audit_put(x->audit, "anchor", "", r.members, NULL) < 0)
      return -1;
  }
  return 0;
}

static void take_over_file(struct audit_anchors *x, const char *name)
{
  const char *writer = name + sizeof prefix - 1;
  char path[4096];
  long pid = strtol(writer, NULL, 10);
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, 1 << 20);
  if (strcmp(writer, x->audit->writer) == 0 || !audit_writer_valid(str_of(writer)) || pid <= 0)
    return;
  if (pid != getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH))
    return;
  anchor_path(x, writer, path);
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  char *room = fd >= 0 ? buf_reserve(&text, (1 << 20) - 1) : NULL;
  ssize_t n = room ? read(fd, room, (1 << 20) - 1) : -1;
  text.n = n > 0 ? (size_t)n : 0;
  if (n <= 0 || take_over(x, buf_view(&text)) < 0)
    log_error("audit: %s is not an anchor that this key has made; it stays where it is", path);
  else if (!audit_healthy(x->audit))
    return; /* the next tick tries again */
  else if (unlink(path) < 0)
    log_error("audit: cannot remove %s: %s", path, strerror(errno));
}

static void take_over_all(struct audit_anchors *x)
{
  DIR *d = opendir(x->dir);
  if (d == NULL) {
    log_error("audit: cannot read %s: %s", x->dir, strerror(errno));
    return;
  }
  for (struct dirent *entry; (entry = readdir(d));)
    if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
        !str_ends(str_of(entry->d_name), ".new"))
      take_over_file(x, entry->d_name);
  closedir(d);
}

/* ------------------------------------------------------------------ life */

static void anchor_now(struct audit_anchors *x)
{
  struct heads_text t = {.full = put_record};
  buf_init(&t.members, LIMIT_AUDIT_RECORD);
  heads_begin(&t);
  for (int i = 0; x->audit->heads && i < AUDIT_SLOTS; i++)
    anchor_slot(x, i, &t);
  put_record(x, &t);
  buf_done(&t.members);
  if (t.failed)
    log_error("audit: an anchor could not be recorded");
  take_over_all(x);
  audit_flush(x->audit);
  audit_anchors_save(x);
  x->last_ms = clock_mono_ms();
}

void audit_anchors_tick(struct audit_anchors *x, bool last)
{
  bool any, now = look(x, &any);
  if (now || last || (any && clock_mono_ms() - x->last_ms >= ANCHOR_MS))
    anchor_now(x);
}

static void anchors_due(struct timer *t)
{
  struct audit_anchors *x = container_of(t, struct audit_anchors, timer);
  audit_anchors_tick(x, false);
  if (loop_timer_set(x->audit->loop, t, TICK_MS) < 0)
    log_error("out of memory for the timer of the audit anchors");
}

struct audit_anchors *audit_anchors_new(struct audit *a, const char *dir, struct err *e)
{
  struct audit_anchors *x = calloc(1, sizeof *x);
  if (x)
    x->dir = strdup(dir);
  if (x == NULL || x->dir == NULL) {
    audit_anchors_free(x);
    err_set(e, "out of memory");
    return NULL;
  }
  x->audit = a;
  x->timer.fire = anchors_due;
  if (a->loop && loop_timer_set(a->loop, &x->timer, TICK_MS) < 0) {
    audit_anchors_free(x);
    err_set(e, "out of memory");
    return NULL;
  }
  anchor_now(x);
  return x;
}

void audit_anchors_free(struct audit_anchors *x)
{
  if (x == NULL)
    return;
  if (x->audit && x->audit->loop)
    loop_timer_stop(x->audit->loop, &x->timer);
  free(x->dir);
  free(x);
}
