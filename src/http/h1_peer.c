/* Whom targets lead to, and the connections that are kept to them; see h1.h.
 *
 * An idle connection stays registered with epoll: whatever comes on it, an end or unasked bytes,
 * closes it, and before it is used again we look once more, so that nothing that a server said
 * unasked is ever a reply (row 56). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/h1.h"

enum { SWEEP_MS = 1000 };

/* ---- addresses */

static int ip_address(struct str host, uint16_t port, struct h1_address *ret)
{
  char text[INET6_ADDRSTRLEN];
  struct sockaddr_in *four = (struct sockaddr_in *)&ret->to;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ret->to;
  if (host.n >= sizeof text)
    return -1;
  memcpy(text, host.p, host.n);
  text[host.n] = 0;
  memset(&ret->to, 0, sizeof ret->to);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    ret->size = sizeof *four;
  } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    ret->size = sizeof *six;
  } else {
    return -1;
  }
  return 0;
}

static int unix_address(const char *path, struct h1_address *ret)
{
  struct sockaddr_un *un = (struct sockaddr_un *)&ret->to;
  if (strlen(path) >= sizeof un->sun_path)
    return -1;
  memset(&ret->to, 0, sizeof ret->to);
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path, strlen(path) + 1);
  ret->size = sizeof *un;
  return 0;
}

unsigned h1_addresses(const struct upstream_target *t, const struct url *u,
                      struct h1_address v[H1_ADDRESSES])
{
  if (t->unix_socket)
    return unix_address(t->unix_socket, &v[0]) == 0;
  if (str_is(u->host, "localhost"))
    return ip_address(STR("127.0.0.1"), u->port, &v[0]) == 0 &&
                   ip_address(STR("::1"), u->port, &v[1]) == 0
               ? 2
               : 0;
  return ip_address(u->host, u->port, &v[0]) == 0;
}

static struct h1_peer **peer_bucket(struct h1 *h, const struct h1_address *a)
{
  const unsigned char *bytes = (const unsigned char *)&a->to;
  unsigned hash = 2166136261u;
  for (socklen_t i = 0; i < a->size; i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return &h->peers[(hash >> 16 ^ hash) % H1_BUCKETS];
}

static bool same_address(const struct h1_address *a, const struct h1_address *b)
{
  return a->size == b->size && memcmp(&a->to, &b->to, a->size) == 0;
}

struct h1_peer *h1_peer_of(struct h1 *h, const struct h1_address *v, unsigned n)
{
  struct h1_peer **bucket = peer_bucket(h, &v[0]), *peer;
  for (peer = *bucket; peer; peer = peer->next)
    if (peer->n == n && same_address(&peer->v[0], &v[0]))
      return peer;
  peer = calloc(1, sizeof *peer);
  if (peer == NULL)
    return NULL;
  memcpy(peer->v, v, n * sizeof *v);
  peer->n = n;
  peer->next = *bucket;
  return *bucket = peer;
}

/* ---- connections */

static void unlink_idle(struct h1_conn *n)
{
  if (n->next)
    n->next->prev = n->prev;
  if (n->prev)
    n->prev->next = n->next;
  else if (n->peer->idle == n)
    n->peer->idle = n->next;
  n->next = n->prev = NULL;
}

void h1_drop(struct h1_conn *n)
{
  if (n->call == NULL)
    unlink_idle(n);
  loop_unwatch(n->pool->loop, &n->watch);
  close(n->fd);
  n->fd = -1;
  if (!n->inside)
    free(n);
}

void h1_put_idle(struct h1_conn *n)
{
  struct h1 *h = n->pool->h1;
  struct h1_peer *s = n->peer;
  n->call = NULL;
  n->idle_since_ms = loop_now_ms(n->pool->loop);
  n->next = s->idle;
  n->prev = NULL;
  if (s->idle)
    s->idle->prev = n;
  s->idle = n;
  if (h->sweep.slot == 0 && loop_timer_set(n->pool->loop, &h->sweep, SWEEP_MS) < 0)
    h1_drop(n);
}

static bool expired(const struct h1_conn *n)
{
  return loop_now_ms(n->pool->loop) - n->idle_since_ms >= UPSTREAM_KEPT_S * 1000;
}

/* Neither a byte nor an end has come since the last reply. */
static bool quiet(const struct h1_conn *n)
{
  char byte;
  return recv(n->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

struct h1_conn *h1_take_idle(struct h1_peer *s)
{
  struct h1_conn *n;
  while ((n = s->idle)) {
    if (!expired(n) && quiet(n)) {
      unlink_idle(n);
      return n;
    }
    h1_drop(n);
  }
  return NULL;
}

static bool sweep_peer(struct h1_peer *peer)
{
  for (struct h1_conn *n = peer->idle, *next; n; n = next) {
    next = n->next;
    if (expired(n))
      h1_drop(n);
  }
  return peer->idle != NULL;
}

void h1_sweep(struct timer *t)
{
  struct h1 *h = container_of(t, struct h1, sweep);
  bool left = false;
  for (size_t i = 0; i < H1_BUCKETS; i++)
    for (struct h1_peer *peer = h->peers[i]; peer; peer = peer->next)
      left |= sweep_peer(peer);
  if (left)
    loop_timer_set(h->pool->loop, t, SWEEP_MS);
}

static void free_peers(struct h1_peer *peer)
{
  for (struct h1_peer *next; peer; peer = next) {
    next = peer->next;
    while (peer->idle)
      h1_drop(peer->idle);
    free(peer);
  }
}

void h1_free_peers(struct h1 *h)
{
  for (size_t i = 0; i < H1_BUCKETS; i++)
    free_peers(h->peers[i]);
}
