/* A worker process: everything that serves, made after the fork; see worker.h. */
#include "hub/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "http/fetch.h"
#include "hub/hub.h"
#include "ops/callers.h"
#include "ops/jobs.h"
#include "ops/log.h"
#include "store/store.h"
#include "util/clock.h"

struct worker {
  const struct worker_args *args;
  struct hub hub;
  struct jobs *jobs;
  struct store *store;
  struct fetcher *fetcher;
  struct http_handler handler;
  struct watch leader;
  struct timer second, drain;
  bool draining, keys_failed;
};

/* ---- the hub's own objects */

static struct http_header *upstream_auth(struct arena *a, const struct config_upstream *u)
{
  if (u->auth != UPSTREAM_AUTH_BEARER && u->auth != UPSTREAM_AUTH_HEADER)
    return NULL;
  struct http_header *h = arena_new_of(a, struct http_header);
  struct str secret = secret_expose(u->auth_secret);
  if (h == NULL)
    return NULL;
  if (u->auth == UPSTREAM_AUTH_BEARER) {
    h->name = STR("Authorization");
    h->value = str_of(arena_printf(a, "Bearer %.*s", STR_ARG(secret)));
  } else {
    h->name = str_of(u->auth_header);
    h->value = arena_str(a, secret);
  }
  return h->value.p ? h : NULL;
}

static int make_service(struct hub *h, size_t i, struct err *e)
{
  const struct config_service *c = &h->config->services[i];
  const struct config_upstream *u = &c->upstream;
  struct hub_service *s = &h->services[i];
  s->config = c;
  s->has_rules = c->list_granted; /* which may hide things from callers without a credential */
  for (int kind = RULE_TOOL; kind <= RULE_METHOD; kind++)
    s->has_rules = s->has_rules || c->rules[kind].n;
  s->key = caller_key(h->shm, CALLER_SERVICE, str_of(c->name), STR(""), STR(""));
  caller_access_set(h->shm, s->key, h->generation, c->access);
  s->target = (struct upstream_target){
      .url = u->url,
      .unix_socket = u->unix_socket,
      .ca_file = u->ca_file ? u->ca_file : h->config->ca_file,
      .egress_proxy = u->egress_proxy ? u->egress_proxy : h->config->egress_proxy,
      .connect_timeout_ms = u->connect_timeout_ms,
      .first_byte_timeout_ms = u->first_byte_timeout_ms,
  };
  s->upstream_auth = upstream_auth(h->arena, u);
  s->has_document = resource_has_document(c);
  if (u->identity == IDENTITY_ASSERTION || u->auth == UPSTREAM_AUTH_ASSERTION)
    h->assertions = true;
  if ((u->auth_secret && s->upstream_auth == NULL) ||
      (s->has_document && resource_document(c, h->arena, &s->document) < 0))
    return err_set(e, "service %s: out of memory", c->name);
  return 0;
}

static int make_services(struct hub *h, struct err *e)
{
  size_t documents = 0;
  h->services = arena_array(h->arena, h->config->n_services, sizeof *h->services);
  h->by_path = arena_array(h->arena, h->config->n_services, sizeof *h->by_path);
  if (h->services == NULL || h->by_path == NULL)
    return err_set(e, "out of memory");
  for (size_t i = 0; i < h->config->n_services; i++) {
    if (make_service(h, i, e) < 0)
      return -1;
    h->by_path[i] = &h->services[i];
    if (h->services[i].has_document && ++documents == 1)
      h->only_document = &h->services[i].document;
  }
  if (documents != 1)
    h->only_document = NULL;
  route_init(h);
  return 0;
}

static int make_proxies(struct hub *h, struct err *e)
{
  const struct config_words *w = &h->config->trusted_proxy;
  struct cidr *nets = arena_array(h->arena, w->n, sizeof *nets);
  if (nets == NULL)
    return err_set(e, "out of memory");
  for (size_t i = 0; i < w->n; i++)
    if (cidr_parse(str_of(w->v[i]), &nets[i], e) < 0)
      return err_prefix(e, "trusted_proxy");
  h->proxies = (struct networks){nets, w->n};
  return 0;
}

/* Peers that stand for many clients are not counted as one. */
static bool exempt(void *self, const struct sockaddr *peer)
{
  const struct hub *h = self;
  return peer->sa_family == AF_UNIX || networks_have(&h->proxies, peer);
}

static int make_server(struct worker *w, struct err *e)
{
  struct hub *h = &w->hub;
  const struct config *c = h->config;
  struct http_server_options o = {
      .max_connections = c->limits.max_connections,
      .max_connections_per_address = c->limits.max_connections_per_address,
      .header_timeout_ms = c->limits.header_timeout_ms,
      .body_timeout_ms = c->limits.body_timeout_ms,
      .keepalive_timeout_ms = c->limits.keepalive_timeout_ms,
      .stall_timeout_ms = c->limits.stall_timeout_ms,
      .body_budget = c->limits.body_budget,
      .exempt = exempt,
      .urgent = route_urgent,
  };
  struct http_listener *l = arena_array(h->arena, c->n_listen, sizeof *l);
  if (l == NULL)
    return err_set(e, "out of memory");
  for (size_t i = 0; i < c->n_listen; i++) {
    l[i] = (struct http_listener){.fd = w->args->listen_fds[i],
                                  .tls_certificate = c->listen[i].tls_certificate,
                                  .client_ca = c->listen[i].client_ca};
    if (c->listen[i].tls_key)
      l[i].tls_key = secret_expose(c->listen[i].tls_key);
  }
  w->handler = hub_handler;
  w->handler.self = h;
  h->server = http_server_new(h->loop, &o, l, c->n_listen, &w->handler, e);
  return h->server ? 0 : -1;
}

static int make_audit(struct worker *w, struct err *e)
{
  const struct config *c = w->hub.config;
  char writer[48];
  snprintf(writer, sizeof writer, "%ld.%lld", (long)getpid(), (long long)clock_wall_ms());
  struct audit_options o = {
      .to = c->audit_to,
      .file = c->audit_file,
      .sync_strict = c->audit_sync_strict,
      .rotate_size = c->audit_rotate_size,
      .keep = c->audit_keep,
      .writer = arena_dup(w->hub.arena, str_of(writer)),
      .heads = w->args->audit_heads,
  };
  memcpy(o.key, w->args->audit_key, sizeof o.key);
  w->hub.audit = audit_open(&o, w->hub.loop, w->jobs, e);
  OPENSSL_cleanse(o.key, sizeof o.key);
  return w->hub.audit ? 0 : -1;
}

static int make_auth(struct worker *w, struct err *e)
{
  struct auth_options o = {
      .config = w->hub.config,
      .loop = w->hub.loop,
      .jobs = w->jobs,
      .fetcher = w->fetcher,
      .shm = w->args->shm,
      .state_dir = w->hub.config->state_dir,
      .keys = w->args->keys,
      .store = w->store,
  };
  w->hub.auth = auth_new(&o, e);
  return w->hub.auth ? 0 : -1;
}

static int make_store(struct worker *w, struct err *e)
{
  struct hub *h = &w->hub;
  const struct store_options o = {
      .state_dir = h->config->state_dir,
      .keys = w->args->keys,
      .jobs = w->jobs,
      .loop = h->loop,
      .sweep = w->args->number == 1,
  };
  if (!store_needed(h->config))
    return 0;
  w->store = store_open(&o, e);
  return w->store ? 0 : -1;
}

static int make_oauth(struct worker *w, struct err *e)
{
  struct hub *h = &w->hub;
  struct oauth_options o = {
      .config = h->config,
      .loop = h->loop,
      .auth = h->auth,
      .fetcher = w->fetcher,
      .audit = h->audit,
      .shm = w->args->shm,
      .jobs = w->jobs,
      .store = w->store,
      .keys = w->args->keys,
  };
  if (!oauth_wanted(h->config))
    return 0;
  h->oauth = oauth_new(&o, e);
  return h->oauth ? 0 : -1;
}

/* Another process may have changed the key ring (mcpauth keys rotate).  What cannot be read leaves
 * the old keys in use; said once. */
static void look_at_keys(struct worker *w)
{
  struct err e = {""};
  int r = keyring_poll(w->args->keys, &e);
  if (r < 0 && !w->keys_failed)
    log_error("key ring: %s", e.text);
  else if (r > 0)
    log_info("key ring: read again");
  w->keys_failed = r < 0;
}

static int make_sealer(struct worker *w, struct err *e)
{
  unsigned char key[KEYRING_DERIVED];
  _Static_assert((int)KEYRING_DERIVED == (int)SEAL_KEY, "a derived key fits the sealer");
  if (keyring_derive(w->args->keys, "sealed ids", key, e) < 0)
    return -1;
  w->hub.sealer = sealer_new(key, e);
  OPENSSL_cleanse(key, sizeof key);
  return w->hub.sealer ? 0 : -1;
}

static int make_digest(struct digest *d, struct err *e)
{
  d->context = EVP_MD_CTX_new();
  d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  return d->context && d->sha256 ? 0 : err_set(e, "OpenSSL has no SHA-256");
}

static int make_hub(struct worker *w, struct err *e)
{
  struct hub *h = &w->hub;
  h->config = w->args->config;
  h->generation = w->args->generation;
  h->shm = w->args->shm;
  h->keys = w->args->keys;
  h->identity = identity_new();
  if (h->identity == NULL)
    return -1;
  look_at_keys(w);
  if (make_sealer(w, e) < 0 || make_digest(&h->digest, e) < 0)
    return -1;
  h->arena = arena_new(MIB(64));
  h->loop = h->arena ? loop_new(e) : NULL;
  if (h->loop == NULL)
    return -1;
  if (!(w->jobs = jobs_new(h->loop, h->config->job_threads, e)) ||
      !(w->fetcher = fetcher_new(h->loop, e)) || !(h->pool = upstream_pool_new(h->loop, e)))
    return -1;
  if (make_audit(w, e) < 0 || make_store(w, e) < 0 || make_auth(w, e) < 0 || make_oauth(w, e) < 0 ||
      make_services(h, e) < 0 || make_proxies(h, e) < 0)
    return -1;
  return make_server(w, e);
}

/* ---- life */

static void say(struct worker *w, char message, const char *text)
{
  if (write(w->args->leader_fd, &message, 1) < 0 ||
      (text[0] && write(w->args->leader_fd, text, strlen(text)) < 0))
    log_error("cannot tell the leader: %s", strerror(errno));
}

static void on_empty(void *arg)
{
  struct worker *w = arg;
  loop_stop(w->hub.loop);
}

static void on_drain_timeout(struct timer *t)
{
  struct worker *w = container_of(t, struct worker, drain);
  log_info("drain_timeout: ending what is left");
  streams_finish(&w->hub);
  http_server_shutdown(w->hub.server);
  loop_stop(w->hub.loop);
}

static void start_drain(struct worker *w)
{
  if (w->draining)
    return;
  w->draining = w->hub.draining = true;
  w->hub.state_writable = false; /* not ready any more */
  loop_timer_set(w->hub.loop, &w->drain, w->hub.config->drain_timeout_ms);
  http_server_drain(w->hub.server, on_empty, w);
  if (w->leader.fd >= 0)
    say(w, WORKER_RETIRED, "");
}

static void on_leader(struct watch *watch, uint32_t events)
{
  struct worker *w = container_of(watch, struct worker, leader);
  char message;
  (void)events;
  ssize_t n = read(watch->fd, &message, 1);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    loop_unwatch(w->hub.loop, watch);
    message = WORKER_DRAIN;
  }
  if (message == WORKER_SHUTDOWN) {
    streams_finish(&w->hub);
    http_server_shutdown(w->hub.server);
    loop_stop(w->hub.loop);
  } else {
    start_drain(w);
    if (message == WORKER_QUIT)
      http_server_close_idle(w->hub.server);
  }
}

static void on_second(struct timer *t)
{
  struct worker *w = container_of(t, struct worker, second);
  shm_turn(w->args->shm, loop_turns(w->hub.loop));
  look_at_keys(w);
  if (!w->draining)
    w->hub.state_writable = access(w->hub.config->state_dir, W_OK) == 0;
  loop_timer_set(w->hub.loop, t, shm_turn_ms(w->hub.config->watchdog_ms));
}

static int serve(struct worker *w, struct err *e)
{
  struct hub *h = &w->hub;
  w->leader.ready = on_leader;
  w->second.fire = on_second;
  w->drain.fire = on_drain_timeout;
  h->comment_timer.fire = stream_tick;
  h->state_writable = access(h->config->state_dir, W_OK) == 0;
  if (loop_watch(h->loop, &w->leader, w->args->leader_fd, EPOLLIN | EPOLLRDHUP) < 0 ||
      loop_timer_set(h->loop, &w->second, shm_turn_ms(h->config->watchdog_ms)) < 0 ||
      loop_timer_set(h->loop, &h->comment_timer, 1000) < 0)
    return err_set(e, "cannot watch the leader: %s", strerror(errno));
  say(w, WORKER_READY, "");
  loop_run(h->loop);
  return 0;
}

int worker_main(const struct worker_args *args)
{
  static struct worker w; /* the one of this process */
  struct err e = {"out of memory"};
  size_t seed = 0;
  w.args = args;
  if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
    say(&w, WORKER_FAILED, "no random numbers");
    return 1;
  }
  json_object_seed(seed); /* row 162 */
  if (make_hub(&w, &e) < 0 || serve(&w, &e) < 0) {
    log_error("cannot serve: %s", e.text);
    say(&w, WORKER_FAILED, e.text);
    return 1;
  }
  /* Nothing is in flight any more, or was ended: what must reach the disk does so here. */
  http_server_free(w.hub.server);
  oauth_stop(w.hub.oauth);
  identity_free(w.hub.identity);
  auth_free(w.hub.auth);
  audit_close(w.hub.audit);
  jobs_free(w.jobs, 1000);
  store_close(w.store);
  oauth_free(w.hub.oauth);
  return 0;
}
