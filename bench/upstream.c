/* The upstream of every measurement: upstream PORT.  One thread, one epoll loop, fixed replies, so
 * that it costs as little as can be beside what is measured.  The path chooses the reply:
 *
 *   /mcp    application/json, about 500 bytes
 *   /sse    text/event-stream, chunked, one event: how the official TypeScript server answers a
 * call /hold   text/event-stream, one comment, then it stays open
 *
 * Listens on 127.0.0.1 and checks nothing. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONN_BYTES = 16384, EVENTS = 256 };

struct conn {
  int fd;
  size_t n;
  char data[CONN_BYTES];
};

struct reply {
  const char *path;
  size_t n;
  char data[2048];
};

static const char result[] =
    "{\"jsonrpc\":\"2.0\",\"id\":42,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"Found 3 "
    "documents: Q1-2026-restated.xlsx (score 0.97, 2026-02-11), Q4-2025-regions.pdf (score 0.93, "
    "2026-01-20), revenue-by-line.md (score 0.88, 2025-12-02). Totals exclude discontinued lines "
    "as "
    "asked; figures are in thousands of "
    "euro.\"}],\"structuredContent\":{\"total\":3,\"took_ms\":4},"
    "\"isError\":false}}";
static const char sse_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";

static struct reply replies[] = {{.path = "/sse"}, {.path = "/hold"}, {.path = "/"}};

static void make_replies(void)
{
  char event[1024];
  int n = snprintf(event, sizeof event, "event: message\ndata: %s\n\n", result);
  replies[0].n = (size_t)snprintf(replies[0].data, sizeof replies[0].data,
                                  "%s%x\r\n%s\r\n0\r\n\r\n", sse_head, (unsigned)n, event);
  replies[1].n =
      (size_t)snprintf(replies[1].data, sizeof replies[1].data, "%s6\r\n: hi\n\n\r\n", sse_head);
  replies[2].n = (size_t)snprintf(replies[2].data, sizeof replies[2].data,
                                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Content-Length: %zu\r\n\r\n%s",
                                  sizeof result - 1, result);
}

/* A reply is smaller than any socket buffer; a client that does not read it is not one of ours. */
static void answer(int fd, const char *path)
{
  const struct reply *r = replies;
  while (strncmp(path, r->path, strlen(r->path)) != 0)
    r++;
  if (send(fd, r->data, r->n, MSG_NOSIGNAL) != (ssize_t)r->n)
    shutdown(fd, SHUT_RDWR);
}

/* The length of the whole request at P, or 0 while it is not all there. */
static size_t request_length(const char *p, size_t n)
{
  const char *end = memmem(p, n, "\r\n\r\n", 4);
  if (end == NULL)
    return 0;
  size_t length = (size_t)(end - p) + 4;
  for (const char *line = p; line < end; line = (const char *)memchr(line, '\n', n) + 1) {
    if (strncasecmp(line, "content-length:", 15) == 0)
      length += strtoul(line + 15, NULL, 10);
    if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
      const char *last = memmem(end, n - (size_t)(end - p), "\r\n0\r\n\r\n", 7);
      return last ? (size_t)(last - p) + 7 : 0;
    }
  }
  return length <= n ? length : 0;
}

static void on_readable(struct conn *c)
{
  ssize_t got = recv(c->fd, c->data + c->n, CONN_BYTES - c->n, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN)
    return;
  if (got <= 0) {
    close(c->fd);
    free(c);
    return;
  }
  c->n += (size_t)got;
  size_t used;
  while ((used = request_length(c->data, c->n)) > 0) {
    const char *target = memchr(c->data, ' ', used);
    answer(c->fd, target ? target + 1 : "/");
    c->n -= used;
    memmove(c->data, c->data + used, c->n);
  }
}

static void on_listener(int listener, int epoll)
{
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = malloc(sizeof *c);
    if (c == NULL)
      abort();
    c->fd = fd;
    c->n = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
  }
}

int main(int argc, char **argv)
{
  if (argc != 2)
    return 2;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  make_replies();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in here = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 4096) != 0) {
    perror("upstream");
    return 1;
  }
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[EVENTS];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(epoll, ready, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.ptr)
        on_readable(ready[i].data.ptr);
      else
        on_listener(listener, epoll);
    }
  }
}
