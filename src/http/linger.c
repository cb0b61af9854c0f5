/* Lingering: a connection that was answered while its peer still sends is read and discarded for a
 * moment before it is closed, for an early reset would take the answer with it (design 8.1).
 * Bounded in bytes, time and number. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/inside.h"

enum { DISCARD = 65536, DISCARDS_A_TURN = 4 };

static char nowhere[DISCARD]; /* written, never read; one thread */

static void drop(struct lingerer *g)
{
  struct http_server *s = g->server;
  int fd = g->watch.fd;
  loop_unwatch(s->loop, &g->watch);
  close(fd);
  if (g->prev)
    g->prev->next = g->next;
  else
    s->lingerers = g->next;
  if (g->next)
    g->next->prev = g->prev;
  else
    s->last_lingerer = g->prev;
  s->n_lingerers--;
  free(g);
  server_conn_gone(s);
}

static void on_readable(struct watch *w, uint32_t events)
{
  struct lingerer *g = container_of(w, struct lingerer, watch);
  (void)events;
  for (int i = 0; i < DISCARDS_A_TURN; i++) {
    ssize_t n = recv(w->fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n <= 0 || (size_t)n >= g->left) {
      drop(g);
      return;
    }
    g->left -= (size_t)n;
  }
}

static void on_linger_tick(struct timer *t)
{
  struct http_server *s = container_of(t, struct http_server, linger_tick);
  while (s->lingerers && s->lingerers->due_ms <= loop_now_ms(s->loop))
    drop(s->lingerers);
  if (s->lingerers)
    loop_timer_set(s->loop, t, s->lingerers->due_ms - loop_now_ms(s->loop));
}

void linger_start(struct http_server *s, int fd)
{
  struct lingerer *g = s->n_lingerers < LIMIT_LINGERING ? calloc(1, sizeof *g) : NULL;
  if (g == NULL) {
    close(fd);
    return;
  }
  *g = (struct lingerer){.server = s,
                         .watch = {.fd = -1, .ready = on_readable},
                         .left = LIMIT_LINGER,
                         .due_ms = loop_now_ms(s->loop) + LIMIT_LINGER_MS};
  if (loop_watch(s->loop, &g->watch, fd, EPOLLIN) < 0) {
    close(fd);
    free(g);
    return;
  }
  g->prev = s->last_lingerer;
  if (g->prev)
    g->prev->next = g;
  else
    s->lingerers = g;
  s->last_lingerer = g;
  s->n_lingerers++;
  s->linger_tick.fire = on_linger_tick;
  if (s->linger_tick.slot == 0)
    loop_timer_set(s->loop, &s->linger_tick, LIMIT_LINGER_MS);
}

void linger_done(struct http_server *s)
{
  while (s->lingerers)
    drop(s->lingerers);
  loop_timer_stop(s->loop, &s->linger_tick);
}
