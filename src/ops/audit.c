/* The audit writer: queue of a turn, one write at its end, answers to the tickets; see audit.h.
 * Numbers and macs are given when the bytes are assembled, and the chain moves on only when they
 * have been written: a write that fails leaves no hole in the chain. */
#include "ops/audit_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

/* ------------------------------------------------------------------ tickets */

void audit_tickets_init(struct audit_tickets *t)
{
  t->first = NULL;
  t->last = &t->first;
}

void audit_tickets_push(struct audit_tickets *t, struct audit_ticket *x)
{
  x->next = NULL;
  *t->last = x;
  t->last = &x->next;
}

static struct audit_ticket *tickets_pop(struct audit_tickets *t)
{
  struct audit_ticket *x = t->first;
  if (x && (t->first = x->next) == NULL)
    t->last = &t->first;
  return x;
}

void audit_tickets_move(struct audit_tickets *to, struct audit_tickets *from)
{
  for (struct audit_ticket *x; (x = tickets_pop(from));)
    audit_tickets_push(to, x);
}

bool audit_tickets_remove(struct audit_tickets *t, const struct audit_ticket *x)
{
  for (struct audit_ticket **at = &t->first; *at; at = &(*at)->next)
    if (*at == x) {
      *at = x->next;
      if (t->last == &x->next)
        t->last = at;
      return true;
    }
  return false;
}

/* Whoever is told may put, forget and free: nothing of ours is held across the call. */
void audit_tell(struct audit *a)
{
  struct audit_ticket *t;
  while ((t = tickets_pop(&a->good)))
    t->written(t, true);
  while ((t = tickets_pop(&a->bad)))
    t->written(t, false);
}

static bool entries_forget(struct audit_entries *e, const struct audit_ticket *t)
{
  for (size_t i = e->n; i > 0; i--)
    if (e->v[i - 1].ticket == t) {
      e->v[i - 1].ticket = NULL;
      return true;
    }
  return false;
}

void audit_forget(struct audit *a, struct audit_ticket *t)
{
  if (!entries_forget(&a->entries, t) && !entries_forget(&a->flights, t) &&
      !audit_tickets_remove(&a->good, t) && !audit_tickets_remove(&a->bad, t))
    audit_sync_forget(a->sync, t);
}

/* ------------------------------------------------------------------ queue */

/* Now, as text; the second's part is made once a second. */
void audit_time(struct audit *a, char out[32])
{
  int64_t ms = clock_wall_ms(), second = ms / 1000;
  if (second != a->second_at) {
    clock_format(second * 1000, a->second, sizeof a->second);
    a->second_at = second;
  }
  memcpy(out, a->second, sizeof a->second);
  unsigned part = (unsigned)(ms % 1000);
  out[20] = (char)('0' + part / 100);
  out[21] = (char)('0' + part / 10 % 10);
  out[22] = (char)('0' + part % 10);
}

static int entries_add(struct audit_entries *e, size_t end, struct audit_ticket *t)
{
  if (e->n == e->cap) {
    size_t cap = e->cap ? 2 * e->cap : 64;
    struct audit_entry *v = realloc(e->v, cap * sizeof *v);
    if (v == NULL)
      return -1;
    e->v = v;
    e->cap = cap;
  }
  e->v[e->n++] = (struct audit_entry){end, t};
  return 0;
}

/* The hook of this turn may have run already. */
static void want_hook(struct audit *a)
{
  if (a->loop && a->hooked_turn == loop_turns(a->loop) + 1)
    loop_again(a->loop);
}

int audit_put(struct audit *a, const char *event, const char *id, struct str members,
              struct audit_ticket *ticket)
{
  char now[32];
  if (ticket && (a->loop == NULL || a->closing))
    return -1;
  if (a->file.to == AUDIT_OFF) {
    if (ticket)
      audit_tickets_push(&a->good, ticket);
    want_hook(a);
    return 0;
  }
  size_t start = a->queue.n;
  audit_time(a, now);
  if (audit_record_begin(&a->queue, now, a->writer, event, id, members) < 0 ||
      entries_add(&a->entries, a->queue.n, ticket) < 0) {
    a->queue.n = start;
    a->queue.failed = false;
    metric_add(METRIC_AUDIT_FAILURES, 1);
    return -1;
  }
  if (a->loop == NULL)
    audit_flush(a);
  else if (a->entries.n == 1)
    want_hook(a);
  return 0;
}

/* ------------------------------------------------------------------ refusals before authentication
 */

static void refused_summary(struct audit *a)
{
  struct audit_refusals *r = &a->refusals;
  char first[32], last[32], members[128];
  if (r->counted == 0)
    return;
  clock_format(r->first_ms, first, sizeof first);
  clock_format(r->last_ms, last, sizeof last);
  snprintf(members, sizeof members, "\"count\":%llu,\"first\":\"%s\",\"last\":\"%s\"",
           (unsigned long long)r->counted, first, last);
  if (audit_put(a, "refused_summary", "", str_of(members), NULL) == 0)
    r->counted = 0;
}

static void refused_second(struct timer *t)
{
  refused_summary(container_of(t, struct audit, refused_timer));
}

static void refused_count(struct audit *a)
{
  struct audit_refusals *r = &a->refusals;
  int64_t now = clock_wall_ms();
  metric_add(METRIC_AUDIT_SUPPRESSED, 1);
  r->last_ms = now;
  if (r->counted++ > 0)
    return;
  r->first_ms = now;
  /* Without a timer the next second's first refusal, or the end, writes the summary. */
  if (a->loop && loop_timer_set(a->loop, &a->refused_timer, 1000) < 0)
    log_error("out of memory for the timer of the audit summary");
}

void audit_limited(struct audit *a, const char *event, const char *id, struct str members)
{
  struct audit_refusals *r = &a->refusals;
  int64_t now = clock_mono_ms();
  if (now - r->second_ms >= 1000 || now < r->second_ms) {
    refused_summary(a);
    r->second_ms = now;
    r->recorded = 0;
  }
  if (r->recorded < AUDIT_REFUSED_A_SECOND && audit_put(a, event, id, members, NULL) == 0)
    r->recorded++;
  else
    refused_count(a);
}

void audit_refused(struct audit *a, const char *id, struct str members)
{
  audit_limited(a, "refused", id, members);
}

/* ------------------------------------------------------------------ writing */

bool audit_healthy(const struct audit *a)
{
  return !a->gap.open && audit_sync_healthy(a->sync);
}

/* Readiness of other processes reads it.  Who has no loop decides nothing, and tries again only
 * with its next record. */
void audit_show_health(const struct audit *a)
{
  if (a->loop)
    metric_set(METRIC_AUDIT_FAILING, !audit_healthy(a));
}

void audit_fail(struct audit *a, uint64_t lost, const struct err *why)
{
  if (!a->gap.open) {
    log_error("audit: %s; requests are refused until it works again", why->text);
    a->gap = (struct audit_gap){.open = true, .since_ms = clock_wall_ms(), .why = *why};
  }
  a->gap.lost += lost;
  metric_add(METRIC_AUDIT_FAILURES, lost);
  if (a->loop && !a->closing && loop_timer_set(a->loop, &a->probe_timer, AUDIT_PROBE_MS) < 0)
    log_error("out of memory for the timer that tries the audit log again");
  audit_show_health(a);
}

/* A record of the writer itself, in front of the queued ones. */
static int own_record(struct audit *a, struct audit_head *head, const char *event,
                      struct str members)
{
  char now[32];
  CLEANUP(buf_done) struct buf begin;
  buf_init(&begin, LIMIT_AUDIT_RECORD + 512);
  audit_time(a, now);
  if (audit_record_begin(&begin, now, a->writer, event, "", members) < 0)
    return -1;
  return audit_record_end(&a->out, buf_view(&begin), a->hmac, head);
}

static int continued_record(struct audit *a, struct audit_head *head)
{
  CLEANUP(buf_done) struct buf m;
  buf_init(&m, 256);
  buf_puts(&m, "\"prev\":\"");
  hex_encode(&m, (struct str){(const char *)head->mac, sizeof head->mac});
  buf_putc(&m, '"');
  return m.failed ? -1 : own_record(a, head, "continued", buf_view(&m));
}

static int gap_record(struct audit *a, struct audit_head *head)
{
  char since[32];
  CLEANUP(buf_done) struct buf m;
  buf_init(&m, 4096);
  clock_format(a->gap.since_ms, since, sizeof since);
  buf_printf(&m, "\"lost\":%llu,\"since\":\"%s\",\"reason\":", (unsigned long long)a->gap.lost,
             since);
  buf_json(&m, str_of(a->gap.why.text));
  return m.failed ? -1 : own_record(a, head, "audit_gap", buf_view(&m));
}

/* What the writer has to say before anything else. */
static int preamble(struct audit *a, struct audit_head *head)
{
  if (head->n == 0 && own_record(a, head, "chain_start", STR("\"version\":1")) < 0)
    return -1;
  if (a->moved && a->head.n > 0 && continued_record(a, head) < 0)
    return -1;
  return a->gap.open ? gap_record(a, head) : 0;
}

/* Records from *AT on, as many as one write may have. */
static int assemble(struct audit *a, size_t *at, struct audit_head *head)
{
  size_t piece = audit_file_piece(&a->file);
  do {
    size_t start = *at ? a->flights.v[*at - 1].end : 0, before = a->out.n;
    struct audit_head old = *head;
    struct str begin = str_slice(buf_view(&a->flying), start, a->flights.v[*at].end);
    if (audit_record_end(&a->out, begin, a->hmac, head) < 0)
      return -1;
    if (a->out.n > piece && before > 0) { /* not this one any more */
      a->out.n = before;
      *head = old;
      return 0;
    }
    ++*at;
  } while (*at < a->flights.n && a->out.n < piece);
  return 0;
}

static int write_out(struct audit *a, const struct audit_head *head, struct err *e)
{
  if (audit_file_write(&a->file, buf_view(&a->out), e) < 0)
    return -1;
  metric_add(METRIC_AUDIT_RECORDS, head->n - a->head.n);
  a->head = *head;
  a->head.at_ms = clock_wall_ms();
  if (a->heads && a->slot >= 0)
    audit_heads_publish(a->heads, a->slot, &a->head);
  a->moved = false;
  if (a->gap.open)
    log_warn("audit: writing works again; %llu records are missing",
             (unsigned long long)a->gap.lost);
  a->gap.open = false;
  audit_show_health(a);
  audit_sync_dirty(a->sync);
  return 0;
}

/* Returns how many of the flying records were written. */
static size_t write_flights(struct audit *a, struct err *e)
{
  size_t done = 0, at = 0;
  bool moved;
  if (audit_file_follow(&a->file, &moved, e) < 0)
    return 0;
  a->moved |= moved;
  do {
    struct audit_head head = a->head;
    buf_clear(&a->out);
    if (preamble(a, &head) < 0 || (at < a->flights.n && assemble(a, &at, &head) < 0)) {
      err_set(e, "out of memory for audit records");
      return done;
    }
    if (head.n == a->head.n)
      return done;
    if (write_out(a, &head, e) < 0)
      return done;
    done = at;
  } while (at < a->flights.n);
  return done;
}

static void swap_queue(struct audit *a)
{
  struct buf b = a->queue;
  struct audit_entries n = a->entries;
  a->queue = a->flying;
  a->entries = a->flights;
  a->flying = b;
  a->flights = n;
}

void audit_flush(struct audit *a)
{
  struct err e = {""};
  swap_queue(a);
  size_t done = write_flights(a, &e), all = a->flights.n;
  for (size_t i = 0; i < all; i++) {
    struct audit_ticket *t = a->flights.v[i].ticket;
    if (t && i < done)
      audit_sync_ticket(a->sync, t);
    else if (t)
      audit_tickets_push(&a->bad, t);
  }
  a->flights.n = 0;
  buf_clear(&a->flying);
  if (e.text[0] && a->file.to == AUDIT_FILE && a->file.fd < 0)
    audit_sync_lost(a->sync);
  if (e.text[0])
    audit_fail(a, all - done, &e);
  else if (!a->closing) /* nobody might write to the new file */
    audit_file_rotate(&a->file);
}

static void turn(struct turn_hook *h)
{
  struct audit *a = container_of(h, struct audit, hook);
  if (a->entries.n)
    audit_flush(a);
  audit_tell(a);
  a->hooked_turn = loop_turns(a->loop) + 1;
  if (a->entries.n)
    loop_again(a->loop);
}

/* Nobody may come while readiness says no: look whether it works again. */
static void probe(struct timer *t)
{
  struct audit *a = container_of(t, struct audit, probe_timer);
  if (a->gap.open)
    audit_flush(a);
}

/* ------------------------------------------------------------------ life */

static void audit_release(struct audit *a)
{
  audit_anchors_free(a->anchors);
  audit_sync_free(a->sync);
  audit_file_done(&a->file);
  audit_hmac_free(a->hmac);
  buf_done(&a->queue);
  buf_done(&a->flying);
  buf_done(&a->out);
  free(a->entries.v);
  free(a->flights.v);
  free(a);
}

static struct audit *audit_new(const struct audit_options *o, struct loop *l)
{
  struct audit *a = calloc(1, sizeof *a);
  if (a == NULL)
    return NULL;
  a->file.to = AUDIT_OFF;
  a->file.fd = -1;
  a->loop = l;
  a->slot = -1;
  a->second_at = -1;
  a->refused_timer.fire = refused_second;
  a->probe_timer.fire = probe;
  a->hook.run = turn;
  buf_init(&a->queue, AUDIT_QUEUE_MAX);
  buf_init(&a->flying, AUDIT_QUEUE_MAX);
  buf_init(&a->out, 2 * AUDIT_QUEUE_MAX);
  audit_tickets_init(&a->good);
  audit_tickets_init(&a->bad);
  if (o->writer)
    snprintf(a->writer, sizeof a->writer, "%s", o->writer);
  return a;
}

static int audit_start(struct audit *a, const struct audit_options *o, struct jobs *j,
                       struct err *e)
{
  if (o->to != AUDIT_OFF && (o->writer == NULL || !audit_writer_valid(str_of(o->writer))))
    return err_set(e, "'%s' cannot name a writer", o->writer ? o->writer : "");
  a->hmac = audit_hmac_new(o->key, e);
  if (a->hmac == NULL || (a->sync = audit_sync_new(a, o->sync_strict, j, e)) == NULL ||
      audit_file_init(&a->file, o, e) < 0)
    return -1;
  if (o->to == AUDIT_OFF)
    return 0;
  audit_flush(a); /* the start of the chain */
  a->heads = o->heads;
  if (a->heads && (a->slot = audit_heads_claim(a->heads, a->writer)) < 0)
    log_warn("audit: more than %d writers: the end of this one's chain is not anchored",
             AUDIT_SLOTS);
  if (a->slot >= 0)
    audit_heads_publish(a->heads, a->slot, &a->head);
  if (o->anchor_dir && (a->anchors = audit_anchors_new(a, o->anchor_dir, e)) == NULL)
    return -1;
  return 0;
}

struct audit *audit_open(const struct audit_options *o, struct loop *l, struct jobs *j,
                         struct err *e)
{
  struct audit *a = audit_new(o, l);
  if (a == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  if (audit_start(a, o, j, e) < 0) {
    audit_release(a);
    return NULL;
  }
  if (l)
    loop_hook(l, &a->hook);
  return a;
}

void audit_anchor_tick(struct audit *a)
{
  if (a->anchors)
    audit_anchors_tick(a->anchors, false);
}

void audit_close(struct audit *a)
{
  if (a == NULL)
    return;
  a->closing = true;
  if (a->loop) {
    loop_unhook(a->loop, &a->hook);
    loop_timer_stop(a->loop, &a->refused_timer);
    loop_timer_stop(a->loop, &a->probe_timer);
  }
  if (a->file.to != AUDIT_OFF) {
    refused_summary(a);
    if (a->anchors)
      audit_anchors_tick(a->anchors, true);
    if (audit_put(a, "chain_end", "", STR(""), NULL) < 0)
      log_error("audit: the end of the chain was not written");
    if (a->entries.n) /* without a loop it is written: nothing may come behind it */
      audit_flush(a);
    audit_sync_now(a->sync);
    if (a->anchors)
      audit_anchors_save(a->anchors);
    if (a->heads && a->slot >= 0)
      audit_heads_end(a->heads, a->slot);
  }
  audit_tell(a);
  audit_release(a);
}
