/* See tiny_server.h. */
#define _GNU_SOURCE
#include "tiny_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

struct connection {
  struct tiny_server *server;
  int fd, nth;
};

static void *serve_one(void *arg)
{
  struct connection c = *(struct connection *)arg;
  free(arg);
  c.server->serve(c.server, c.fd, c.nth);
  pthread_mutex_lock(&c.server->lock);
  c.server->open[c.nth - 1] = -1;
  close(c.fd);
  pthread_mutex_unlock(&c.server->lock);
  return NULL;
}

static void *accept_all(void *arg)
{
  struct tiny_server *s = arg;
  for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0;) {
    struct connection *c = malloc(sizeof *c);
    pthread_mutex_lock(&s->lock);
    if (s->connections == TINY_CONNECTIONS_MAX)
      abort();
    *c = (struct connection){s, fd, ++s->connections};
    s->open[c->nth - 1] = fd;
    if (pthread_create(&s->threads[c->nth - 1], NULL, serve_one, c) != 0)
      abort();
    pthread_mutex_unlock(&s->lock);
  }
  return NULL;
}

static void listen_unix(struct tiny_server *s, const char *path)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
}

static void listen_loopback(struct tiny_server *s)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
  s->port = ntohs(a.sin_port);
}

void tiny_start(struct tiny_server *s, tiny_serve_fn *serve, const void *arg, const char *path)
{
  memset(s, 0, sizeof *s);
  s->serve = serve;
  s->arg = arg;
  pthread_mutex_init(&s->lock, NULL);
  if (path)
    listen_unix(s, path);
  else
    listen_loopback(s);
  assert_int_equal(listen(s->listener, 256), 0);
  assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
}

void tiny_stop(struct tiny_server *s)
{
  shutdown(s->listener, SHUT_RDWR);
  pthread_join(s->thread, NULL);
  close(s->listener);
  for (int i = 0; i < s->connections; i++) {
    pthread_mutex_lock(&s->lock);
    if (s->open[i] >= 0)
      shutdown(s->open[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->threads[i], NULL);
  }
  pthread_mutex_destroy(&s->lock);
}

static int count(struct tiny_server *s, const int *what)
{
  pthread_mutex_lock(&s->lock);
  int n = *what;
  pthread_mutex_unlock(&s->lock);
  return n;
}

int tiny_connections(struct tiny_server *s)
{
  return count(s, &s->connections);
}

int tiny_requests(struct tiny_server *s)
{
  return count(s, &s->requests);
}

/* Length of the whole request whose head ends at HEAD_N. */
static size_t request_length(const char *p, size_t head_n)
{
  const char *at = strcasestr(p, "\r\nContent-Length:");
  return at && at < p + head_n ? head_n + strtoul(at + 17, NULL, 10) : head_n;
}

bool tiny_read(struct tiny_server *s, int fd)
{
  char *p = malloc(TINY_REQUEST_MAX);
  size_t n = 0, want = 0;
  while (want == 0 || n < want) {
    ssize_t got = n < TINY_REQUEST_MAX - 1 ? recv(fd, p + n, TINY_REQUEST_MAX - 1 - n, 0) : 0;
    if (got <= 0) {
      free(p);
      return false;
    }
    n += (size_t)got;
    p[n] = 0;
    const char *end = want ? NULL : strstr(p, "\r\n\r\n");
    if (end)
      want = request_length(p, (size_t)(end - p) + 4);
  }
  pthread_mutex_lock(&s->lock);
  memcpy(s->last, p, n + 1);
  s->last_n = n;
  s->requests++;
  pthread_mutex_unlock(&s->lock);
  free(p);
  return true;
}

void tiny_write_bytes(int fd, const void *p, size_t n)
{
  for (const char *at = p; n;) {
    ssize_t wrote = send(fd, at, n, MSG_NOSIGNAL);
    if (wrote <= 0)
      return;
    at += wrote;
    n -= (size_t)wrote;
  }
}

void tiny_write(int fd, const char *text)
{
  tiny_write_bytes(fd, text, strlen(text));
}

int tiny_wait_close(int fd, int most)
{
  struct timespec a, b;
  struct pollfd p = {.fd = fd, .events = POLLRDHUP};
  clock_gettime(CLOCK_MONOTONIC, &a);
  if (poll(&p, 1, most) != 1)
    return -1;
  clock_gettime(CLOCK_MONOTONIC, &b);
  return (int)((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
}
