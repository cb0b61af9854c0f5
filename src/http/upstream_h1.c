/* The transport for plain HTTP/1.1: numeric addresses, localhost and unix sockets; see
 * upstream_inside.h.  What most MCP servers are reached by, and a third of a request's cost when a
 * general library does it.
 *
 * A call is written once, on one connection; when that breaks, it is over (row 172). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http/h1.h"
#include "http/headers.h"

static struct h1_call *of(struct upstream_call *c)
{
  return container_of(c, struct h1_call, call);
}

/* ---- targets */

bool upstream_h1_serves(const struct upstream_target *t, const struct url *u)
{
  struct h1_address v[H1_ADDRESSES];
  bool proxied = t->egress_proxy && t->unix_socket == NULL && !url_loopback(u);
  return !u->https && !proxied && u->authority.n < sizeof((struct h1_site *)0)->host &&
         h1_addresses(t, u, v) > 0;
}

static int site_init(struct upstream_pool *p, struct upstream_site *s, struct err *e)
{
  struct h1_address v[H1_ADDRESSES];
  struct h1_site *own = calloc(1, sizeof *own);
  struct str host = s->url.authority;
  if (own)
    own->peer = h1_peer_of(p->h1, v, h1_addresses(s->target, &s->url, v));
  if (own == NULL || own->peer == NULL) {
    free(own);
    return err_set(e, "out of memory");
  }
  if (s->url.port_written && s->url.port == 80)
    host.n -= strlen(":80");
  memcpy(own->host, host.p, host.n);
  s->own = own;
  return 0;
}

static void site_free(struct upstream_site *s)
{
  free(s->own);
}

static struct h1_peer *peer_of_call(const struct h1_call *c)
{
  return ((struct h1_site *)c->call.site->own)->peer;
}

/* ---- the end of a call */

/* Takes the connection from the call. */
static void detach(struct h1_call *c, bool keep)
{
  struct h1_conn *n = c->conn;
  c->conn = NULL;
  buf_done(&c->line);
  if (n == NULL)
    return;
  if (keep) {
    h1_put_idle(n);
  } else {
    n->call = NULL;
    h1_drop(n);
  }
}

void h1_fail(struct h1_call *c, enum upstream_end end, const char *why)
{
  detach(c, false);
  upstream_call_over(&c->call, end, why);
}

void h1_complete(struct h1_call *c)
{
  bool unsent = c->sent < c->head.n + c->payload.n;
  detach(c, c->keep && !unsent);
  upstream_call_over(&c->call, UPSTREAM_COMPLETE, "");
}

/* ---- sending */

static int watch_for(struct h1_conn *n, uint32_t events)
{
  return n->watch.events == events ? 0 : loop_watch(n->pool->loop, &n->watch, n->fd, events);
}

/* Sends what the socket takes.  A server that has hung up may still have said why: what is to be
 * read decides. */
static void flush(struct h1_call *c)
{
  struct h1_conn *n = c->conn;
  size_t whole = c->head.n + c->payload.n;
  while (c->sent < whole) {
    size_t of_body = c->sent > c->head.n ? c->sent - c->head.n : 0;
    struct iovec part[2] = {
        {c->head.p + (c->sent < c->head.n ? c->sent : c->head.n),
         c->sent < c->head.n ? c->head.n - c->sent : 0},
        {(char *)(uintptr_t)c->payload.p + of_body, c->payload.n - of_body},
    };
    struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
    ssize_t sent = sendmsg(n->fd, &m, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      break;
    c->sent += (size_t)sent;
  }
  bool full = c->sent < whole && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (c->sent < whole && !full)
    c->keep = false;
  if (watch_for(n, full ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
    shutdown(n->fd, SHUT_RDWR); /* no memory: its deadline ends the call */
}

/* ---- connecting */

static void on_ready(struct watch *w, uint32_t events);

static int open_socket(const struct h1_address *a)
{
  int on = 1, seconds = UPSTREAM_KEEPALIVE_S;
  int fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || a->to.ss_family == AF_UNIX)
    return fd;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  return fd;
}

/* Begins to connect to the call's address.  -1: it cannot be reached. */
static int open_connection(struct h1_call *c)
{
  struct upstream_pool *p = c->call.pool;
  struct h1_peer *peer = peer_of_call(c);
  const struct h1_address *a = &peer->v[c->address];
  struct h1_conn *n = calloc(1, sizeof *n);
  int fd = n ? open_socket(a) : -1;
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&a->to, a->size) < 0 &&
      errno != EINPROGRESS) {
    close(fd);
    fd = -1;
  }
  if (fd < 0) {
    free(n);
    return -1;
  }
  n->watch = (struct watch){.fd = -1, .ready = on_ready};
  n->fd = fd;
  n->pool = p;
  n->peer = peer;
  n->call = c;
  c->conn = n;
  if (loop_watch(p->loop, &n->watch, fd, EPOLLOUT) == 0)
    return 0;
  close(fd);
  c->conn = NULL;
  free(n);
  return -1;
}

static int connect_next(struct h1_call *c)
{
  unsigned n = peer_of_call(c)->n;
  for (; c->address < n; c->address++)
    if (open_connection(c) == 0)
      return 0;
  return -1;
}

static void on_connected(struct h1_call *c)
{
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(c->conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
    error = errno;
  if (error) {
    detach(c, false);
    c->address++;
    if (connect_next(c) < 0)
      h1_fail(c, UPSTREAM_UNREACHABLE, strerror(error));
    return;
  }
  upstream_call_sending(&c->call);
  flush(c);
}

static void on_ready(struct watch *w, uint32_t events)
{
  struct h1_conn *n = container_of(w, struct h1_conn, watch);
  struct h1_call *c = n->call;
  if (c == NULL) { /* idle: hung up, or unasked bytes */
    h1_drop(n);
    return;
  }
  if (c->call.stage == UPSTREAM_CONNECTING) {
    on_connected(c);
    return;
  }
  if (events & EPOLLOUT)
    flush(c);
  if (events & ~(uint32_t)EPOLLOUT)
    h1_read(n);
}

/* ---- the request */

static int add_fields(struct h1_call *c, const struct upstream_request *rq, struct err *e)
{
  if (rq->n_headers > LIMIT_HEADERS + 4)
    return err_set(e, "too many header fields");
  for (size_t i = 0; i < rq->n_headers; i++) {
    const struct http_header *h = &rq->headers[i];
    if (header_sendable(h, e) < 0)
      return -1;
    buf_str(&c->head, h->name);
    buf_puts(&c->head, h->value.n ? ": " : ":");
    buf_str(&c->head, h->value);
    buf_puts(&c->head, "\r\n");
  }
  return 0;
}

/* Path and query of an absolute URL, which has been judged. */
static struct str origin_form(const char *url)
{
  url += strlen("http://");
  return str_of(url + strcspn(url, "/?"));
}

static int make_head(struct h1_call *c, const struct upstream_request *rq, struct err *e)
{
  const struct h1_site *s = c->call.site->own;
  struct str path = origin_form(rq->url);
  struct buf *b = &c->head;
  buf_clear(b);
  if (header_method_sendable(rq->method, e) < 0)
    return -1;
  buf_str(b, rq->method);
  buf_puts(b, path.n && path.p[0] == '/' ? " " : " /");
  buf_str(b, path);
  buf_puts(b, " HTTP/1.1\r\nHost: ");
  buf_puts(b, s->host);
  buf_puts(b, "\r\n");
  if (add_fields(c, rq, e) < 0)
    return -1;
  if (rq->body.n || str_is(rq->method, "POST"))
    buf_printf(b, "Content-Length: %zu\r\n", rq->body.n);
  return buf_puts(b, "\r\n") < 0 ? err_set(e, "header fields are too large") : 0;
}

/* ---- the transport */

/* A call that is cancelled in the turn in which it was started leaves no trace. */
static void on_begin(struct task *t)
{
  struct h1_call *c = container_of(t, struct h1_call, begin);
  c->conn = h1_take_idle(peer_of_call(c));
  if (c->conn) {
    c->conn->call = c;
    upstream_call_sending(&c->call);
    flush(c);
  } else if (connect_next(c) < 0) {
    h1_fail(c, UPSTREAM_UNREACHABLE, strerror(errno));
  }
}

static struct upstream_call *new_call(struct upstream_site *s, struct err *e)
{
  struct h1_call *c = calloc(1, sizeof *c);
  (void)s;
  if (c == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  buf_init(&c->head, KIB(64));
  buf_init(&c->line, LIMIT_UPSTREAM_HEADERS);
  c->begin.run = on_begin;
  return &c->call;
}

static void free_call(struct upstream_call *call)
{
  struct h1_call *c = of(call);
  buf_wipe(&c->head); /* upstream credentials */
  buf_done(&c->line);
  free(c);
}

static int start(struct upstream_call *call, const struct upstream_request *rq, struct err *e)
{
  struct h1_call *c = of(call);
  if (make_head(c, rq, e) < 0)
    return -1;
  c->payload = rq->body;
  c->sent = 0;
  c->address = 0;
  c->keep = true;
  c->old = false;
  c->conn = NULL;
  loop_defer(call->pool->loop, &c->begin);
  return 0;
}

static void resume(struct upstream_call *call)
{
  struct h1_call *c = of(call);
  struct h1_conn *n = c->conn;
  if (n == NULL || n->watch.fd >= 0)
    return;
  bool unsent = c->sent < c->head.n + c->payload.n;
  if (loop_watch(call->pool->loop, &n->watch, n->fd, EPOLLIN | (unsent ? EPOLLOUT : 0u)) < 0)
    shutdown(n->fd, SHUT_RDWR); /* no memory: its deadline ends the call */
}

static void stop(struct upstream_call *call)
{
  struct h1_call *c = of(call);
  struct h1_conn *n = c->conn;
  bool inside = n && n->inside;
  loop_undefer(call->pool->loop, &c->begin);
  detach(c, false);
  if (inside)
    n->stopped = c;
  else
    upstream_call_released(call);
}

const struct upstream_transport upstream_h1 = {.site_init = site_init,
                                               .site_free = site_free,
                                               .new_call = new_call,
                                               .free_call = free_call,
                                               .start = start,
                                               .resume = resume,
                                               .stop = stop};

/* ---- the pool's part */

int upstream_h1_init(struct upstream_pool *p, struct err *e)
{
  p->h1 = calloc(1, sizeof *p->h1);
  if (p->h1 == NULL)
    return err_set(e, "out of memory");
  p->h1->sweep.fire = h1_sweep;
  p->h1->pool = p;
  return 0;
}

void upstream_h1_done(struct upstream_pool *p)
{
  if (p->h1 == NULL)
    return;
  loop_timer_stop(p->loop, &p->h1->sweep);
  h1_free_peers(p->h1);
  free(p->h1);
}
