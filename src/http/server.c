/* The server of one worker: its daemons, its turn, drain and end.  Called by src/hub/worker.c and
 * src/admin. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/inside.h"
#include "ops/log.h"

enum { ROUNDS = 16 }; /* of libmicrohttpd in one turn; the rest of the worker wants one too */

/* ---- the turn */

/* What happens after this turn's hook needs another turn. */
void server_wake(struct http_server *s)
{
  if (!s->in_hook && s->hook_turn == loop_turns(s->loop))
    loop_again(s->loop);
}

void server_flush_later(struct request *r)
{
  struct http_server *s = r->conn->server;
  if (r->flushing)
    return;
  r->flushing = true;
  r->next_flush = s->flushes;
  s->flushes = r;
  server_wake(s);
}

void server_drained_later(struct request *r)
{
  struct http_server *s = r->conn->server;
  if (r->draining)
    return;
  r->draining = true;
  r->next_drained = s->drained;
  s->drained = r;
  server_wake(s);
}

static void request_free(struct request *r)
{
  buf_wipe(&r->rq.body);
  arena_free(r->rq.arena);
  free(r);
}

/* Those that died in the turn before; one that a list still names waits for it. */
static void free_dead(struct http_server *s)
{
  struct request *r = s->dead, *next;
  for (s->dead = NULL; r; r = next) {
    next = r->next_dead;
    if (r->flushing || r->draining || r->resuming) {
      r->next_dead = s->dead;
      s->dead = r;
    } else {
      request_free(r);
    }
  }
}

static void run_flushes(struct http_server *s)
{
  for (struct request *r; (r = s->flushes);) {
    s->flushes = r->next_flush;
    r->flushing = false;
    if (r->rq.end == 0)
      flow_flush(r);
  }
}

static void run_drained(struct http_server *s)
{
  for (struct request *r; (r = s->drained);) {
    s->drained = r->next_drained;
    r->draining = false;
    if (r->ending == 0)
      s->handler.drained(s->handler.self, &r->rq);
  }
}

static void run_resumes(struct http_server *s)
{
  for (struct request *r; (r = s->resumes);) {
    s->resumes = r->next_resume;
    r->resuming = r->suspended = false;
    loop_unwatch(s->loop, &r->conn->away);
    if (r->conn->deadline == DEADLINE_WATCH)
      deadline_set(r->conn, DEADLINE_NONE);
    r->conn->daemon->dirty = true;
    MHD_resume_connection(r->conn->mhd);
  }
}

void server_ended(struct conn *c)
{
  struct http_server *s = c->server;
  if (c->ended)
    return;
  c->ended = true;
  c->next_ended = s->ended_conns;
  s->ended_conns = c;
}

void server_not_ended(struct conn *c)
{
  struct conn **at = &c->server->ended_conns;
  if (!c->ended)
    return;
  while (*at != c)
    at = &(*at)->next_ended;
  *at = c->next_ended;
  c->ended = false;
}

/* When a content reader ends a connection, libmicrohttpd marks it closed and looks at it again only
 * when it has become the oldest of all.  Those that are still here after a run are suspended and
 * resumed, for it looks at what it resumes. */
static void run_ended(struct http_server *s)
{
  for (struct conn *c; (c = s->ended_conns);) {
    s->ended_conns = c->next_ended;
    c->ended = false;
    MHD_suspend_connection(c->mhd);
    MHD_resume_connection(c->mhd);
    c->daemon->dirty = true;
  }
}

static void run_daemons(struct http_server *s)
{
  for (size_t i = 0; i < s->n_daemons; i++) {
    struct daemon *d = &s->daemons[i];
    MHD_UNSIGNED_LONG_LONG ms;
    if (!d->dirty)
      continue;
    MHD_run(d->mhd);
    /* Resumed streams, decrypted bytes: it has more to do without any event. */
    d->dirty = MHD_get_timeout(d->mhd, &ms) == MHD_YES && ms == 0;
  }
}

static bool pending(const struct http_server *s)
{
  for (size_t i = 0; i < s->n_daemons; i++)
    if (s->daemons[i].dirty)
      return true;
  return s->flushes || s->resumes || s->drained;
}

static void check_empty(struct http_server *s)
{
  if (!s->draining || s->ended || s->n_conns || s->n_lingerers)
    return;
  s->ended = true;
  if (s->empty)
    s->empty(s->empty_arg);
}

static void turn(struct http_server *s)
{
  s->in_hook = true;
  free_dead(s);
  for (int i = 0; i < ROUNDS && (i == 0 || pending(s)); i++) {
    run_flushes(s);
    run_resumes(s);
    run_daemons(s);
    run_ended(s);
    run_drained(s);
  }
  s->in_hook = false;
  if (pending(s))
    loop_again(s->loop);
}

static void on_turn(struct turn_hook *h)
{
  struct http_server *s = container_of(h, struct http_server, hook);
  s->hook_turn = loop_turns(s->loop);
  if (pending(s) || s->dead)
    turn(s);
  check_empty(s); /* may free S */
}

static void on_events(struct watch *w, uint32_t events)
{
  (void)events;
  container_of(w, struct daemon, watch)->dirty = true;
}

void server_conn_gone(struct http_server *s)
{
  if (s->draining)
    server_wake(s);
}

/* ---- daemons */

static int daemon_start(struct http_server *s, struct daemon *d, const struct http_listener *l,
                        struct err *e)
{
  *d = (struct daemon){.server = s, .watch = {.fd = -1, .ready = on_events}};
  if (l->tls_certificate) {
    d->certificate = strdup(l->tls_certificate);
    d->key = calloc(1, l->tls_key.n + 1);
    if (d->certificate == NULL || d->key == NULL)
      return err_set(e, "out of memory");
    d->key_n = l->tls_key.n;
    if (d->key_n)
      memcpy(d->key, l->tls_key.p, d->key_n);
    d->client_ca = l->client_ca ? strdup(l->client_ca) : NULL;
    if (l->client_ca && d->client_ca == NULL)
      return err_set(e, "out of memory");
  }
  struct compat_options o = {.max_connections = s->options.max_connections + 64,
                             .certificate = d->certificate,
                             .key = d->key,
                             .client_ca = d->client_ca,
                             .callbacks = &connection_callbacks,
                             .cls = s};
  d->mhd = compat_daemon_start(&o, e);
  if (d->mhd == NULL)
    return -1;
  int fd = compat_daemon_descriptor(d->mhd);
  if (fd < 0 || loop_watch(s->loop, &d->watch, fd, EPOLLIN) < 0)
    return err_set(e, "libmicrohttpd's descriptor cannot be watched");
  return 0;
}

static void daemon_stop(struct daemon *d)
{
  if (d->watch.ready)
    loop_unwatch(d->server->loop, &d->watch);
  if (d->mhd)
    MHD_stop_daemon(d->mhd);
  if (d->key)
    OPENSSL_cleanse(d->key, d->key_n);
  free(d->key);
  free(d->certificate);
  free(d->client_ca);
}

struct str http_client_certificate(const struct http_request *rq)
{
  const struct request *r = (const struct request *)(const void *)rq; /* its first member */
  return rq->tls ? compat_client_certificate(r->conn->mhd) : (struct str){NULL, 0};
}

static bool same_text(const char *a, const char *b)
{
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* One daemon for all plain listeners, one for each certificate and what its clients may show. */
struct daemon *daemon_for(struct http_server *s, const struct http_listener *l, struct err *e)
{
  for (size_t i = 0; i < s->n_daemons; i++) {
    const struct daemon *d = &s->daemons[i];
    if (same_text(d->certificate, l->tls_certificate) && same_text(d->client_ca, l->client_ca))
      return &s->daemons[i];
  }
  struct daemon *d = &s->daemons[s->n_daemons++];
  return daemon_start(s, d, l, e) == 0 ? d : NULL;
}

/* ---- beginning and end */

static struct http_server *server_alloc(struct loop *l, const struct http_server_options *o,
                                        size_t n, const struct http_handler *h)
{
  struct http_server *s = calloc(1, sizeof *s);
  if (s == NULL)
    return NULL;
  s->loop = l;
  s->options = *o;
  s->handler = *h;
  s->hook_turn = UINT64_MAX;
  s->hook.run = on_turn;
  s->daemons = calloc(n ? n : 1, sizeof *s->daemons);
  s->listeners = calloc(n ? n : 1, sizeof *s->listeners);
  deadlines_init(s);
  loop_hook(l, &s->hook);
  if (s->daemons && s->listeners)
    return s;
  http_server_free(s);
  return NULL;
}

static int server_start(struct http_server *s, const struct http_listener *listeners, size_t n,
                        struct err *e)
{
  for (size_t i = 0; i < n; i++) {
    struct daemon *d = daemon_for(s, &listeners[i], e);
    if (d == NULL)
      return -1;
    s->listeners[s->n_listeners++] = (struct listener){.server = s,
                                                       .watch = {.fd = -1},
                                                       .daemon = d,
                                                       .fd = listeners[i].fd,
                                                       .admin = listeners[i].admin};
  }
  return accept_start(s, e);
}

struct http_server *http_server_new_untested(struct loop *l, const struct http_server_options *o,
                                             const struct http_listener *listeners, size_t n,
                                             const struct http_handler *h, struct err *e)
{
  struct http_server *s = server_alloc(l, o, n, h);
  if (s == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  if (server_start(s, listeners, n, e) == 0)
    return s;
  http_server_free(s);
  return NULL;
}

struct http_server *http_server_new(struct loop *l, const struct http_server_options *o,
                                    const struct http_listener *listeners, size_t n,
                                    const struct http_handler *h, struct err *e)
{
  if (compat_self_test(l, e) < 0)
    return NULL;
  return http_server_new_untested(l, o, listeners, n, h, e);
}

void http_server_drain(struct http_server *s, void (*empty)(void *arg), void *arg)
{
  s->empty = empty;
  s->empty_arg = arg;
  s->draining = true;
  accept_stop(s);
  loop_again(s->loop);
}

void http_server_close_idle(struct http_server *s)
{
  char byte;
  for (struct conn *c = s->first[DEADLINE_IDLE]; c; c = c->later)
    if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
      shutdown(c->fd, SHUT_RDWR);
  loop_again(s->loop);
}

static void end_request(struct request *r)
{
  static const struct http_header retry = {STR_INIT("Retry-After"), STR_INIT("1")};
  if (r->flow.open) {
    flow_end_for_shutdown(r);
  } else if (!request_answered(r)) {
    if (r->phase == PHASE_WHOLE || r->phase == PHASE_HEAD) {
      r->whole_end = HTTP_END_SHUTDOWN;
      http_respond(&r->rq, 503, &retry, 1, STR(""));
    } else {
      conn_reset(r->conn);
      request_die(r, HTTP_END_SHUTDOWN);
    }
  }
}

void http_server_shutdown(struct http_server *s)
{
  s->draining = s->shut = true;
  accept_stop(s);
  for (struct conn *c = s->conns; c; c = c->next) {
    if (c->request)
      end_request(c->request);
    else
      shutdown(c->fd, SHUT_RDWR);
  }
  loop_again(s->loop);
}

/* Nothing is called any more: no list keeps a request. */
static void forget_lists(struct http_server *s)
{
  s->flushes = s->drained = s->resumes = NULL;
  for (struct request *r = s->dead; r; r = r->next_dead)
    r->flushing = r->draining = r->resuming = false;
}

/* Nothing may be suspended when libmicrohttpd stops. */
static void end_all(struct http_server *s)
{
  for (struct conn *c = s->conns; c; c = c->next) {
    if (c->request)
      request_die(c->request, HTTP_END_SHUTDOWN);
    shutdown(c->fd, SHUT_RDWR);
  }
  turn(s);
}

void http_server_free(struct http_server *s)
{
  if (s == NULL)
    return;
  accept_stop(s);
  if (s->daemons)
    end_all(s);
  for (size_t i = 0; i < s->n_daemons; i++)
    daemon_stop(&s->daemons[i]);
  linger_done(s);
  deadlines_done(s);
  forget_lists(s);
  free_dead(s);
  loop_unhook(s->loop, &s->hook);
  free(s->daemons);
  free(s->listeners);
  free(s);
}

unsigned http_server_connections(const struct http_server *s)
{
  return s->n_conns;
}
