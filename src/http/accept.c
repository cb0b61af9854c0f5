/* Connections on their way in: accepting (at most 16 a turn, shared sockets), the global limit and
 * the limit per address, running out of descriptors (rows 158, 173, R11). */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/inside.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

enum {
  PAUSE_MS = 100,        /* without descriptors: how long nothing is accepted */
  KEPT_DESCRIPTORS = 64, /* for the audit, the store, upstreams and providers */
};

struct address_count {
  struct address_count *next, **in;
  unsigned char key[16];
  unsigned n;
};

/* ---- how many there are of one address (of one /64 of IPv6, which one customer owns) */

static bool address_key(const struct sockaddr_storage *peer, unsigned char key[16])
{
  memset(key, 0, 16);
  if (peer->ss_family == AF_INET) {
    memcpy(key + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    key[10] = key[11] = 0xff;
    return true;
  }
  if (peer->ss_family != AF_INET6)
    return false;
  const struct in6_addr *a = &((const struct sockaddr_in6 *)peer)->sin6_addr;
  memcpy(key, a, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
  return true;
}

static unsigned bucket_of(const unsigned char key[16])
{
  uint64_t h = 0x9e3779b97f4a7c15u;
  for (int i = 0; i < 16; i++)
    h = (h ^ key[i]) * 0x100000001b3u;
  return (unsigned)(h >> 32) % ADDRESS_BUCKETS;
}

/* NULL when out of memory. */
static struct address_count *count_of(struct http_server *s, const unsigned char key[16])
{
  struct address_count **head = &s->addresses[bucket_of(key)], *a;
  for (a = *head; a; a = a->next)
    if (memcmp(a->key, key, 16) == 0)
      return a;
  a = calloc(1, sizeof *a);
  if (a == NULL)
    return NULL;
  memcpy(a->key, key, 16);
  a->next = *head;
  a->in = head;
  if (a->next)
    a->next->in = &a->next;
  *head = a;
  return a;
}

static void uncount(struct address_count *a)
{
  if (a == NULL || --a->n > 0)
    return;
  *a->in = a->next;
  if (a->next)
    a->next->in = a->in;
  free(a);
}

/* false: over the limit. */
static bool count_address(struct http_server *s, struct conn *c)
{
  unsigned char key[16];
  const struct http_server_options *o = &s->options;
  if (o->max_connections_per_address == 0 || !address_key(&c->peer, key) ||
      (o->exempt && o->exempt(s->handler.self, (const struct sockaddr *)&c->peer)))
    return true;
  struct address_count *a = count_of(s, key);
  if (a == NULL)
    return false;
  a->n++;
  if (a->n > o->max_connections_per_address) {
    uncount(a);
    return false;
  }
  c->counted = a;
  return true;
}

/* ---- one connection */

static void name_peer(struct conn *c)
{
  const void *at = &((const struct sockaddr_in *)&c->peer)->sin_addr;
  int family = c->peer.ss_family;
  if (family == AF_INET6) {
    const struct in6_addr *a = &((const struct sockaddr_in6 *)&c->peer)->sin6_addr;
    at = a;
    if (IN6_IS_ADDR_V4MAPPED(a)) {
      at = a->s6_addr + 12;
      family = AF_INET;
    }
  }
  if ((family != AF_INET && family != AF_INET6) ||
      inet_ntop(family, at, c->peer_address, sizeof c->peer_address) == NULL)
    memcpy(c->peer_address, "unix", sizeof "unix");
}

void conn_free(struct conn *c)
{
  struct http_server *s = c->server;
  deadline_set(c, DEADLINE_NONE);
  loop_unwatch(s->loop, &c->away);
  server_not_ended(c);
  uncount(c->counted);
  s->n_spare -= c->spare;
  if (c->prev)
    c->prev->next = c->next;
  else
    s->conns = c->next;
  if (c->next)
    c->next->prev = c->prev;
  s->n_conns--;
  metric_set(METRIC_CONNECTIONS_OPEN, s->n_conns);
  free(c);
  accept_resume(s);
  server_conn_gone(s);
}

static struct conn *conn_new(struct http_server *s, struct daemon *d, int fd,
                             const struct sockaddr_storage *peer, socklen_t size)
{
  struct conn *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  *c = (struct conn){.server = s,
                     .daemon = d,
                     .next = s->conns,
                     .fd = fd,
                     .tls = d->certificate != NULL,
                     .away = {.fd = -1},
                     .peer_size = size,
                     .peer = *peer};
  if (c->next)
    c->next->prev = c;
  s->conns = c;
  s->n_conns++;
  metric_set(METRIC_CONNECTIONS_OPEN, s->n_conns);
  name_peer(c);
  return c;
}

/* Says why, where it can be said, and closes. */
static void refuse_connection(struct http_server *s, const struct daemon *d, int fd)
{
  metric_add(METRIC_CONNECTIONS_REFUSED, 1);
  if (d->certificate) {
    close(fd);
    return;
  }
  ssize_t sent = send(fd, answer_503, strlen(answer_503), MSG_NOSIGNAL | MSG_DONTWAIT);
  shutdown(fd, SHUT_WR);
  if (sent > 0 && (unsigned)fd + KEPT_DESCRIPTORS < s->descriptors)
    linger_start(s, fd);
  else
    close(fd);
}

int conn_adopt(struct http_server *s, struct daemon *d, int fd, const struct sockaddr_storage *peer,
               socklen_t size, bool admin)
{
  struct conn *c = NULL;
  bool full = s->n_conns - s->n_spare >= s->options.max_connections;
  bool spare = full && s->options.urgent && s->n_spare < LIMIT_SPARE_CONNECTIONS;
  if ((!full || spare) && (unsigned)fd + KEPT_DESCRIPTORS < s->descriptors)
    c = conn_new(s, d, fd, peer, size);
  if (c && spare) {
    c->spare = true;
    s->n_spare++;
  }
  if (c && !count_address(s, c)) {
    conn_free(c);
    c = NULL;
  }
  if (c == NULL) {
    refuse_connection(s, d, fd);
    return -1;
  }
  c->admin = admin;
  if (peer->ss_family == AF_INET || peer->ss_family == AF_INET6)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  deadline_set(c, spare ? DEADLINE_SPARE : DEADLINE_HEAD);
  s->adding = c;
  enum MHD_Result ok = MHD_add_connection(d->mhd, fd, (const struct sockaddr *)peer, size);
  s->adding = NULL;
  if (ok != MHD_YES) { /* it has closed FD */
    conn_free(c);
    return -1;
  }
  d->dirty = true;
  server_wake(s);
  return 0;
}

/* ---- listeners */

static void pause_accepting(struct http_server *s)
{
  if (!s->paused)
    log_warn("out of descriptors or memory: nothing is accepted for a moment");
  s->paused = true;
  for (size_t i = 0; i < s->n_listeners; i++)
    loop_unwatch(s->loop, &s->listeners[i].watch);
  loop_timer_set(s->loop, &s->pause, PAUSE_MS);
}

static void accept_again(struct http_server *s)
{
  s->paused = false;
  loop_timer_stop(s->loop, &s->pause);
  for (size_t i = 0; i < s->n_listeners; i++) {
    struct listener *l = &s->listeners[i];
    if (loop_watch(s->loop, &l->watch, l->fd, EPOLLIN | EPOLLEXCLUSIVE) < 0)
      log_error("listener: epoll: %s", strerror(errno));
  }
}

static void on_pause_over(struct timer *t)
{
  accept_again(container_of(t, struct http_server, pause));
}

/* A descriptor has become free. */
void accept_resume(struct http_server *s)
{
  if (s->paused && !s->draining && s->pause.slot)
    loop_timer_set(s->loop, &s->pause, 1);
}

static void on_connectable(struct watch *w, uint32_t events)
{
  struct listener *l = container_of(w, struct listener, watch);
  struct http_server *s = l->server;
  (void)events;
  for (int i = 0; i < LIMIT_ACCEPTS_A_TURN; i++) {
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting(s);
      if (errno == ECONNABORTED || errno == EINTR)
        continue;
      return;
    }
    if (peer.ss_family == AF_UNIX || size < sizeof(sa_family_t)) {
      peer = (struct sockaddr_storage){.ss_family = AF_UNIX};
      size = sizeof(sa_family_t);
    }
    if (conn_adopt(s, l->daemon, fd, &peer, size, l->admin) == 0)
      metric_add(METRIC_CONNECTIONS, 1);
  }
}

static unsigned descriptor_limit(void)
{
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == RLIM_INFINITY || r.rlim_cur > INT32_MAX)
    return INT32_MAX;
  return (unsigned)r.rlim_cur;
}

int accept_start(struct http_server *s, struct err *e)
{
  s->descriptors = descriptor_limit();
  s->pause.fire = on_pause_over;
  for (size_t i = 0; i < s->n_listeners; i++) {
    struct listener *l = &s->listeners[i];
    l->watch = (struct watch){.fd = -1, .ready = on_connectable};
    /* Shared with other processes: another may take the connection that woke us. */
    int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0))
      return err_set(e, "listener: %s", strerror(errno));
    if (loop_watch(s->loop, &l->watch, l->fd, EPOLLIN | EPOLLEXCLUSIVE) < 0)
      return err_set(e, "listener: epoll: %s", strerror(errno));
  }
  return 0;
}

void accept_stop(struct http_server *s)
{
  loop_timer_stop(s->loop, &s->pause);
  for (size_t i = 0; i < s->n_listeners; i++)
    if (s->listeners[i].watch.ready)
      loop_unwatch(s->loop, &s->listeners[i].watch);
}
