/* Instances of providers: `check` once in the leader, `start` and `stop` in each worker, the key
 * sets and the files that they watch.  Called by authenticate.c and, for `check`, by the loader. */
#include "auth/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/loader.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { LOOK_MS = 1000 };

struct watched_file {
  struct watched_file *next;
  char *path;
  size_t max_size;
  int (*changed)(void *arg, struct mcpauth_bytes content);
  void *arg;
  struct stat seen;
  bool missed; /* the last look failed: said once */
};

/* ---- check */

int host_check(const struct config_provider *p, const char **ret_option, struct err *e)
{
  struct err said = {""};
  struct mcpauth_instance i = {.provider = p, .report = &said};
  loader_at_work = p->path;
  bool good = p->table->check == NULL || p->table->check(&host_functions, &i, p->config) == 0;
  loader_at_work = NULL;
  if (good)
    return 0;
  if (ret_option)
    *ret_option = i.report_option;
  return err_set(e, "%s", said.text[0] ? said.text : "the provider refuses this configuration");
}

/* ---- watched files */

static int read_file(struct watched_file *f, struct stat *ret, struct err *e)
{
  CLEANUP(buf_wipe) struct buf content;
  buf_init(&content, f->max_size + 1);
  if (safefile_read(f->path, f->max_size, true, &content, ret, e) < 0)
    return -1;
  struct mcpauth_bytes bytes = {content.n ? content.p : "", content.n};
  if (f->changed(f->arg, bytes) != 0)
    return err_set(e, "%s: the new content is not accepted", f->path);
  return 0;
}

/* The old content stays in force until a good new one is there. */
static void look_at(struct mcpauth_instance *i, struct watched_file *f)
{
  struct stat now;
  struct err e = {""};
  if (stat(f->path, &now) == 0 && safefile_same(&now, &f->seen))
    return;
  if (read_file(f, &now, &e) == 0) {
    f->seen = now;
    f->missed = false;
    i->files++;
    log_info("provider %s: read %s again", i->provider->name, f->path);
    return;
  }
  if (!f->missed || stat(f->path, &now) == 0)
    log_warn("provider %s: %s; what was read before stays in force", i->provider->name, e.text);
  f->missed = true;
  if (stat(f->path, &now) == 0)
    f->seen = now;
}

static void look(struct timer *t)
{
  struct host *h = container_of(t, struct host, look);
  for (size_t k = 0; k < h->n; k++)
    for (struct watched_file *f = h->instances[k].watched; f; f = f->next)
      look_at(&h->instances[k], f);
  loop_timer_set(h->options.loop, &h->look, LOOK_MS);
}

static void watched_free(struct watched_file *f)
{
  if (f)
    free(f->path);
  free(f);
}

/* In `check`: one look, nothing is kept. */
static int look_once(struct mcpauth_instance *i, struct watched_file *f)
{
  struct stat seen;
  struct err e = {""};
  if (read_file(f, &seen, &e) == 0)
    return 0;
  if (i->report->text[0] == 0) /* CHANGED may have said more */
    err_set(i->report, "%s", e.text);
  return -1;
}

int instance_watch(struct mcpauth_instance *i, const char *path, size_t max_size,
                   int (*changed)(void *arg, struct mcpauth_bytes content), void *arg)
{
  if (i->report && path && changed && max_size <= LIMIT_TOKEN_FILE) {
    char name[4096];
    snprintf(name, sizeof name, "%s", path);
    return look_once(i, &(struct watched_file){
                            .path = name, .max_size = max_size, .changed = changed, .arg = arg});
  }
  struct host *h = i->host;
  struct err e = {""};
  if (h == NULL || path == NULL || *path != '/' || changed == NULL || max_size > LIMIT_TOKEN_FILE) {
    log_error("provider %s: watch_file: unusable arguments", i->provider->name);
    return -1;
  }
  struct watched_file *f = calloc(1, sizeof *f);
  char *copy = strdup(path);
  if (f == NULL || copy == NULL) {
    free(f);
    free(copy);
    return -1;
  }
  *f = (struct watched_file){
      .path = copy, .max_size = max_size, .changed = changed, .arg = arg, .next = i->watched};
  if (read_file(f, &f->seen, &e) < 0) {
    log_error("provider %s: %s", i->provider->name, e.text);
    watched_free(f);
    return -1;
  }
  if (!h->looking && loop_timer_set(h->options.loop, &h->look, LOOK_MS) < 0) {
    watched_free(f);
    return -1;
  }
  h->looking = true;
  i->watched = f;
  return 0;
}

/* ---- lanes and key sets */

struct lane *instance_lane(struct mcpauth_instance *i)
{
  if (i->lane == NULL)
    i->lane = lane_new(i->host->options.jobs, i->provider->name);
  return i->lane;
}

static struct keyset *open_keyset(struct mcpauth_instance *i, const struct mcpauth_keyset_source *s,
                                  struct err *e)
{
  const struct auth_options *o = &i->host->options;
  const struct config_provider *p = i->provider;
  struct keyset_env env = {o->loop, o->fetcher, o->shm, instance_lane(i), o->state_dir};
  struct keyset_source source = {
      .jwks_uri = s->jwks_uri,
      .issuer = s->issuer,
      .file = s->file,
      .ca_file = p->ca_file ? p->ca_file : o->config->ca_file,
      .egress_proxy = p->egress_proxy ? p->egress_proxy : o->config->egress_proxy,
  };
  if (s->shared)
    source.shared = secret_expose((const struct secret *)(const void *)s->shared);
  return keyset_open(&env, p->name, &source, e);
}

struct mcpauth_keyset *instance_keyset(struct mcpauth_instance *i,
                                       const struct mcpauth_keyset_source *source)
{
  struct err e = {""};
  struct opened_keyset *k = i->host && source ? calloc(1, sizeof *k) : NULL;
  if (k == NULL)
    return NULL;
  k->keys = open_keyset(i, source, &e);
  if (k->keys == NULL) {
    log_error("provider %s: %s", i->provider->name, e.text);
    free(k);
    return NULL;
  }
  k->next = i->keysets;
  i->keysets = k;
  return (struct mcpauth_keyset *)(void *)k->keys;
}

/* ---- start and stop */

static int start(struct mcpauth_instance *i, struct err *e)
{
  const struct config_provider *p = i->provider;
  i->reuses = true;
  if (p->table->start && p->table->start(&host_functions, i, p->config, &i->state) != 0)
    return err_set(e, "provider %s did not start (the log says why)", p->name);
  i->started = true;
  return 0;
}

int host_start(struct host *h, const struct auth_options *o, struct err *e)
{
  h->options = *o;
  h->look.fire = look;
  h->lane_threads = o->config->job_threads / 2 > 0 ? o->config->job_threads / 2 : 1;
  h->instances = calloc(o->config->n_providers + 1, sizeof *h->instances);
  if (h->instances == NULL)
    return err_set(e, "out of memory");
  if (o->state_dir && !o->dry_run) {
    h->usage = usage_new(o->state_dir, o->loop, o->jobs, e);
    if (h->usage == NULL)
      return -1;
  }
  for (size_t k = 0; k < o->config->n_providers; k++) {
    struct mcpauth_instance *i = &h->instances[k];
    i->provider = &o->config->providers[k];
    i->host = h;
    h->n = k + 1;
    if (start(i, e) < 0)
      return -1;
  }
  return 0;
}

static void stop(struct mcpauth_instance *i)
{
  if (i->stuck)
    return;
  if (i->started && i->provider->table->stop)
    i->provider->table->stop(i->state);
  while (i->keysets) {
    struct opened_keyset *k = i->keysets;
    i->keysets = k->next;
    keyset_free(k->keys);
    free(k);
  }
  issuers_free(i);
  while (i->watched) {
    struct watched_file *f = i->watched;
    i->watched = f->next;
    watched_free(f);
  }
}

void host_stop(struct host *h)
{
  loop_timer_stop(h->options.loop, &h->look);
  for (size_t k = h->n; k > 0; k--)
    stop(&h->instances[k - 1]);
  usage_free(h->usage);
  h->usage = NULL;
  if (h->abandoned == 0)
    free(h->instances);
}
