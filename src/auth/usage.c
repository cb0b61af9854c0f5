/* Use counts in the worker's memory; see usage.h.  A count is an entry in an array, found through
 * an object of names; a file is written whole when something in it has changed. */
#include "auth/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/usage_file.h"
#include "ops/log.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { WRITE_MS = 60000 };

struct count {
  char *key;
  uint64_t uses;
  int64_t last;
  char address[64];
};

/* The counts of one provider instance. */
struct counts {
  char *instance;
  json_t *index; /* key → place in v */
  struct count *v;
  size_t n, cap;
  bool changed, complained;
  struct counts *next;
};

struct usage {
  char dir[4096];
  char part[64]; /* "PID.START" */
  struct counts *all;
  struct loop *loop;
  struct lane *lane;
  struct timer timer;
  bool timing;
  struct job_handle *running;
};

/* ------------------------------------------------------------------ counting */

static struct counts *counts_of(struct usage *u, const char *instance)
{
  struct counts *c;
  for (c = u->all; c; c = c->next)
    if (strcmp(c->instance, instance) == 0)
      return c;
  c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  c->instance = strdup(instance);
  c->index = json_object();
  if (c->instance == NULL || c->index == NULL) {
    free(c->instance);
    json_decref(c->index);
    free(c);
    return NULL;
  }
  c->next = u->all;
  u->all = c;
  return c;
}

static struct count *count_add(struct counts *c, const char *key)
{
  if (c->n >= USAGE_KEYS_MAX || strlen(key) > USAGE_KEY_MAX || !str_utf8(str_of(key)))
    return NULL;
  if (c->n == c->cap) {
    size_t cap = c->cap ? 2 * c->cap : 16;
    struct count *v = reallocarray(c->v, cap, sizeof *v);
    if (v == NULL)
      return NULL;
    c->v = v;
    c->cap = cap;
  }
  char *copy = strdup(key);
  if (copy == NULL || json_object_set_new(c->index, key, json_integer((json_int_t)c->n)) < 0) {
    free(copy);
    return NULL;
  }
  c->v[c->n] = (struct count){.key = copy};
  return &c->v[c->n++];
}

void usage_count(struct usage *u, const char *instance, const char *key, const char *address,
                 int64_t now)
{
  struct counts *c = counts_of(u, instance);
  json_t *at = c ? json_object_get(c->index, key) : NULL;
  struct count *k = at ? &c->v[json_integer_value(at)] : c ? count_add(c, key) : NULL;
  if (k == NULL) {
    if (c == NULL || !c->complained)
      log_warn("the use of a key of %s is not counted: too many keys, or too long a key", instance);
    if (c)
      c->complained = true;
    return;
  }
  k->uses++;
  k->last = now;
  snprintf(k->address, sizeof k->address, "%s", address ? address : "");
  c->changed = true;
  if (u->loop && !u->timing)
    u->timing = loop_timer_set(u->loop, &u->timer, WRITE_MS) == 0;
}

/* ------------------------------------------------------------------ writing */

static int format(const struct counts *c, struct buf *out)
{
  buf_puts(out, "{\"folded\":[],\"keys\":{");
  for (size_t i = 0; i < c->n; i++) {
    const struct count *k = &c->v[i];
    if (i)
      buf_putc(out, ',');
    buf_json(out, str_of(k->key));
    buf_printf(out, ":{\"uses\":%llu,\"last\":%lld,\"address\":", (unsigned long long)k->uses,
               (long long)k->last);
    buf_json(out, str_of(k->address));
    buf_putc(out, '}');
  }
  buf_puts(out, "}}");
  return out->failed ? -1 : 0;
}

/* What a job writes: its own copies. */
struct usage_job {
  struct usage *usage;
  char dir[4096], part[64];
  struct usage_text {
    char *instance;
    struct buf text;
    struct usage_text *next;
  } * texts;
  struct err e;
};

static void job_release(void *arg)
{
  struct usage_job *j = arg;
  while (j->texts) {
    struct usage_text *t = j->texts;
    j->texts = t->next;
    buf_done(&t->text);
    free(t->instance);
    free(t);
  }
  free(j);
}

static int job_add(struct usage_job *j, struct counts *c)
{
  struct usage_text *t = calloc(1, sizeof *t);
  if (t == NULL)
    return -1;
  buf_init(&t->text, USAGE_FILE_MAX);
  t->next = j->texts;
  j->texts = t;
  t->instance = strdup(c->instance);
  if (t->instance == NULL || format(c, &t->text) < 0)
    return -1;
  c->changed = false;
  return 0;
}

static struct usage_job *job_new(struct usage *u)
{
  struct usage_job *j = calloc(1, sizeof *j);
  if (j == NULL)
    return NULL;
  j->usage = u;
  memcpy(j->dir, u->dir, sizeof j->dir);
  memcpy(j->part, u->part, sizeof j->part);
  for (struct counts *c = u->all; c; c = c->next)
    if (c->changed && job_add(j, c) < 0) {
      c->changed = true;
      job_release(j);
      return NULL;
    }
  return j;
}

static void job_work(void *arg)
{
  struct usage_job *j = arg;
  for (struct usage_text *t = j->texts; t; t = t->next)
    usage_write_part(j->dir, t->instance, j->part, buf_view(&t->text), &j->e);
}

/* A write that failed is made up for by the next: each file holds the whole sum. */
static void mark_all(struct usage *u)
{
  for (struct counts *c = u->all; c; c = c->next)
    c->changed = true;
}

static void job_done(void *arg)
{
  struct usage_job *j = arg;
  struct usage *u = j->usage;
  u->running = NULL;
  if (j->e.text[0] == 0)
    return;
  log_error("use counts: %s", j->e.text);
  mark_all(u);
}

static void due(struct timer *t)
{
  struct usage *u = container_of(t, struct usage, timer);
  u->timing = false;
  struct usage_job *j = u->running ? NULL : job_new(u);
  struct job job = {.work = job_work, .done = job_done, .release = job_release, .arg = j};
  if (j)
    u->running = job_submit(u->lane, &job);
  if (u->running)
    return;
  if (j)
    job_release(j);
  mark_all(u);
  u->timing = loop_timer_set(u->loop, &u->timer, WRITE_MS) == 0;
}

int usage_flush(struct usage *u, struct err *e)
{
  struct usage_job *j = job_new(u);
  if (j == NULL)
    return err_set(e, "out of memory");
  job_work(j);
  int r = j->e.text[0] ? err_set(e, "%s", j->e.text) : 0;
  job_release(j);
  if (r < 0)
    mark_all(u);
  return r;
}

/* ------------------------------------------------------------------ life */

struct usage *usage_new(const char *state_dir, struct loop *l, struct jobs *j, struct err *e)
{
  struct err folding = {""};
  struct usage *u = calloc(1, sizeof *u);
  if (u == NULL || (j && (u->lane = lane_new(j, "usage")) == NULL)) {
    free(u);
    err_set(e, "out of memory");
    return NULL;
  }
  u->loop = j ? l : NULL;
  u->timer.fire = due;
  snprintf(u->part, sizeof u->part, "%d.%lld", (int)getpid(), (long long)clock_wall_ms());
  if (usage_dir(state_dir, u->dir, e) < 0) {
    free(u);
    return NULL;
  }
  /* Counts that cannot be read keep nobody from serving. */
  if (usage_fold(u->dir, u->part, &folding) < 0)
    log_error("use counts: %s", folding.text);
  return u;
}

void usage_free(struct usage *u)
{
  struct err e = {""};
  if (u == NULL)
    return;
  if (u->timing)
    loop_timer_stop(u->loop, &u->timer);
  if (u->running) {
    job_cancel(u->running);
    mark_all(u);
  }
  if (usage_flush(u, &e) < 0 || usage_fold(u->dir, u->part, &e) < 0)
    log_error("use counts: %s", e.text);
  while (u->all) {
    struct counts *c = u->all;
    u->all = c->next;
    for (size_t i = 0; i < c->n; i++)
      free(c->v[i].key);
    free(c->v);
    free(c->instance);
    json_decref(c->index);
    free(c);
  }
  free(u);
}
