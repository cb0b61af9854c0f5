/* Streamed answers.  Bytes wait in a buffer that exists only while there are any.
 *
 * What was written in a turn goes out at its end, in one piece.  An answer that is complete by then
 * becomes a whole one: one write, a Content-Length.  Otherwise libmicrohttpd sends the head, asks
 * its reader for bytes, is suspended there when there are none, and everything before has then been
 * sent; from then on chunks go past it straight to the socket (plain connections), so that an event
 * costs one system call instead of a walk over all suspended streams.  It sends the last chunk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "http/headers.h"
#include "http/inside.h"

enum { BUFFER_MOST = 4 * 1024 * 1024, PIECE = 16384, RECLAIM = 32768 };

static size_t waiting(const struct flow *p)
{
  return p->out.n - p->out_at;
}

/* N bytes of the buffer are gone. */
static void consumed(struct request *r, size_t n)
{
  struct flow *p = &r->flow;
  p->out_at += n;
  r->rq.bytes_out += n;
  if (p->out_at == p->out.n) {
    buf_done(&p->out);
    p->out_at = 0;
  } else if (p->out_at >= RECLAIM) {
    buf_consume(&p->out, p->out_at);
    p->out_at = 0;
  }
  if (p->choked && waiting(p) <= LIMIT_STREAM_BUFFER / 2) {
    p->choked = false;
    server_drained_later(r);
  }
}

/* ---- through libmicrohttpd */

static ssize_t read_flow(void *cls, uint64_t at, char *to, size_t max)
{
  struct request *r = cls;
  struct flow *p = &r->flow;
  (void)at;
  if (r->ending)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  size_t n = waiting(p);
  if (n) {
    n = n < max ? n : max;
    memcpy(to, p->out.p + p->out_at, n);
    consumed(r, n);
    deadline_set(r->conn, DEADLINE_STALL); /* it took what was before */
    return (ssize_t)n;
  }
  if (p->ended)
    return MHD_CONTENT_READER_END_OF_STREAM;
  p->idle = true;
  request_suspend(r);
  return 0;
}

static struct MHD_Response *start_response(struct request *r)
{
  struct flow *p = &r->flow;
  if (p->ended) {
    r->answer_n = p->out.n;
    return MHD_create_response_from_buffer(p->out.n, p->out.p ? p->out.p : (void *)(uintptr_t) "",
                                           MHD_RESPMEM_PERSISTENT);
  }
  p->started = true;
  p->direct = p->length < 0 && !r->conn->tls && !r->http10;
  uint64_t size = p->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)p->length;
  /* Chunks are made in the connection's memory; the response's own buffer is idle weight then. */
  return MHD_create_response_from_callback(size, p->direct ? 1 : PIECE, read_flow, r, NULL);
}

static void start(struct request *r)
{
  struct flow *p = &r->flow;
  if (!r->suspended || r->phase == PHASE_BODY)
    return; /* comes again when the body has ended */
  r->response = answer_headers(r, start_response(r), p->headers, p->n_headers);
  answer_ready(r);
}

/* ---- past libmicrohttpd */

/* The rest of the chunk being written: its head, its bytes, its tail. */
static int chunk_rest(struct flow *p, struct iovec iov[3])
{
  size_t head_n = strlen(p->frame_head), skip = p->frame_sent;
  struct iovec all[3] = {
      {p->frame_head, head_n}, {p->out.p + p->out_at, p->frame_n}, {(void *)(uintptr_t) "\r\n", 2}};
  int n = 0;
  for (int i = 0; i < 3; i++) {
    if (skip >= all[i].iov_len) {
      skip -= all[i].iov_len;
      continue;
    }
    iov[n++] = (struct iovec){(char *)all[i].iov_base + skip, all[i].iov_len - skip};
    skip = 0;
  }
  return n;
}

/* 1: the chunk is out; 0: the socket is full; -1: the client is gone. */
static int send_chunk(struct request *r)
{
  struct flow *p = &r->flow;
  struct iovec iov[3];
  if (p->frame_n == 0) {
    p->frame_n = waiting(p);
    p->frame_sent = 0;
    snprintf(p->frame_head, sizeof p->frame_head, "%zx\r\n", p->frame_n);
  }
  struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)chunk_rest(p, iov)};
  ssize_t sent = sendmsg(r->conn->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
  p->frame_sent += (size_t)sent;
  size_t n = p->frame_n;
  if (p->frame_sent < strlen(p->frame_head) + n + 2)
    return 0;
  p->frame_n = 0;
  consumed(r, n);
  return 1;
}

/* The socket is full: be told when it is not.  Only progress puts the deadline off. */
static void wait_for_socket(struct request *r, bool progress)
{
  struct conn *c = r->conn;
  if (progress || c->deadline != DEADLINE_STALL)
    deadline_set(c, DEADLINE_STALL);
  if (!(c->away.events & EPOLLOUT))
    conn_watch_away(c, EPOLLOUT);
}

static void send_direct(struct request *r)
{
  struct flow *p = &r->flow;
  bool progress = false;
  while (waiting(p)) {
    size_t before = p->frame_n ? p->frame_sent : 0;
    int sent = send_chunk(r);
    if (sent < 0) {
      request_die(r, HTTP_END_CLIENT_GONE);
      return;
    }
    progress = progress || sent > 0 || p->frame_sent > before;
    if (sent == 0) {
      wait_for_socket(r, progress);
      return;
    }
  }
  deadline_set(r->conn, r->conn->away.fd < 0 ? DEADLINE_WATCH : DEADLINE_NONE);
  if (r->conn->away.events & EPOLLOUT)
    conn_watch_away(r->conn, 0);
}

void flow_writable(struct request *r)
{
  flow_flush(r);
}

/* At the end of a turn, or when the socket takes bytes again. */
void flow_flush(struct request *r)
{
  struct flow *p = &r->flow;
  if (!p->open || r->ending)
    return;
  if (!p->started) {
    if (r->phase != PHASE_ANSWERED)
      start(r);
    return;
  }
  if (!p->idle || r->resuming)
    return; /* libmicrohttpd is at it and will ask */
  if (p->direct)
    send_direct(r);
  if (r->ending == 0 && (waiting(p) == 0 ? p->ended : !p->direct)) {
    p->idle = false;
    deadline_set(r->conn, DEADLINE_STALL);
    request_resume(r);
  }
}

/* ---- for the handler */

static const struct http_header *copy_headers(struct request *r, const struct http_header *headers,
                                              size_t n)
{
  struct http_header *copy = arena_array(r->rq.arena, n, sizeof *copy);
  for (size_t i = 0; copy && i < n; i++) {
    copy[i].name = arena_str(r->rq.arena, headers[i].name);
    copy[i].value = arena_str(r->rq.arena, headers[i].value);
    if (copy[i].name.p == NULL || copy[i].value.p == NULL || !header_token(copy[i].name) ||
        !header_value(copy[i].value))
      return NULL;
    if (str_iis(copy[i].name, "Content-Type") &&
        str_ieq(str_slice(copy[i].value, 0, 17), STR("text/event-stream")))
      r->flow.events = true;
  }
  return copy;
}

void http_stream(struct http_request *rq, int status, const struct http_header *headers, size_t n,
                 int64_t length)
{
  struct request *r = (struct request *)rq;
  if (request_answered(r))
    return;
  rq->status = status;
  r->flow = (struct flow){.open = true, .length = length, .n_headers = n, .boundary = true};
  buf_init(&r->flow.out, BUFFER_MOST);
  r->flow.headers = copy_headers(r, headers, n);
  if (r->flow.headers == NULL) {
    r->flow.open = false;
    http_respond(rq, status, headers, n, STR("")); /* which makes a 500 of it */
    return;
  }
  if (rq->body.p == NULL)
    body_release(r);
  server_flush_later(r);
}

bool http_write(struct http_request *rq, struct str bytes)
{
  struct request *r = (struct request *)rq;
  struct flow *p = &r->flow;
  if (!p->open || p->ended || r->ending)
    return false;
  if (bytes.n == 0)
    return !p->choked;
  p->written += bytes.n;
  bool too_long = p->length >= 0 && p->written > (uint64_t)p->length;
  if (too_long || buf_add(&p->out, bytes.p, bytes.n) < 0) {
    http_abort(rq);
    return false;
  }
  p->boundary = p->events &&
                (str_ends(bytes, "\n\n") || str_ends(bytes, "\r\n\r\n") || str_ends(bytes, "\r\r"));
  if (rq->body.p == NULL)
    body_release(r);
  server_flush_later(r);
  if (waiting(p) <= LIMIT_STREAM_BUFFER)
    return true;
  p->choked = true;
  return false;
}

void http_end(struct http_request *rq)
{
  struct request *r = (struct request *)rq;
  struct flow *p = &r->flow;
  if (!p->open || p->ended || r->ending)
    return;
  if (p->length >= 0 && p->written != (uint64_t)p->length) {
    http_abort(rq);
    return;
  }
  p->ended = true;
  server_flush_later(r);
}

void http_abort(struct http_request *rq)
{
  struct request *r = (struct request *)rq;
  if (r->ending)
    return;
  conn_reset(r->conn);
  request_die(r, HTTP_END_ERROR);
}

size_t http_waiting(const struct http_request *rq)
{
  return waiting(&((const struct request *)rq)->flow);
}

/* An event stream ends between two events; anything else cannot be ended as if it were whole. */
void flow_end_for_shutdown(struct request *r)
{
  struct flow *p = &r->flow;
  if (p->ended)
    return;
  if (p->length < 0 && p->events && p->boundary) {
    r->whole_end = HTTP_END_SHUTDOWN;
    http_end(&r->rq);
    return;
  }
  conn_reset(r->conn);
  request_die(r, HTTP_END_SHUTDOWN);
}
