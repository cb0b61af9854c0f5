/* Reading a reply over plain HTTP/1.1; see h1.h.  Nothing is accepted that reply.c or chunked.c
 * could read in two ways. */
#include <errno.h>
#include <stdlib.h>

#include "http/h1.h"

enum { READS_A_TURN = 4 };

static bool says_close(const struct reply *r)
{
  struct http_header fields[LIMIT_HEADERS];
  size_t n = reply_fields(r, fields);
  for (size_t i = 0; i < n; i++) {
    struct str rest = fields[i].value, word;
    if (!str_iis(fields[i].name, "Connection"))
      continue;
    while (str_next(&rest, ',', &word))
      if (str_iis(str_trim(word), "close"))
        return true;
  }
  return false;
}

static void frame_body(struct h1_call *c)
{
  const struct reply *r = &c->call.head;
  c->keep = c->keep && !says_close(r);
  if (r->length == 0) {
    c->body = BODY_NONE;
  } else if (r->chunked) {
    c->body = BODY_CHUNKED;
    c->chunked = (struct chunked){0};
  } else if (r->length > 0) {
    c->body = BODY_LENGTH;
    c->left = (uint64_t)r->length;
  } else {
    c->body = BODY_TO_END;
    c->keep = false;
  }
}

/* The version of a status line: 1.0 says nothing that lets a connection live on. */
static bool version(struct h1_call *c, struct str line, const char **why)
{
  bool status_line = c->call.head.status == 0;
  if (!status_line || str_starts(line, "HTTP/1.1 "))
    return true;
  c->keep = false;
  c->old = true;
  if (str_starts(line, "HTTP/1.0 "))
    return true;
  *why = "no HTTP/1.1 status line";
  return false;
}

enum progress { MORE, OVER, GONE };

static enum progress bad(struct h1_call *c, const char *why)
{
  h1_fail(c, UPSTREAM_BROKEN, why);
  return OVER;
}

/* One line of the head, its LF included. */
static enum progress head_line(struct h1_call *c, struct str line)
{
  const char *why = "";
  if (!version(c, line, &why))
    return bad(c, why);
  switch (reply_line(&c->call.head, line, &why)) {
  case REPLY_MORE:
    return MORE;
  case REPLY_HEAD:
    if (c->call.head.chunked && c->old)
      return bad(c, "chunked in HTTP/1.0");
    frame_body(c);
    return upstream_call_head(&c->call) ? MORE : GONE;
  case REPLY_BAD:
    break;
  }
  return bad(c, why);
}

/* Takes lines from *IN until the head is complete or *IN is empty. */
static enum progress take_head(struct h1_call *c, struct str *in)
{
  enum progress p = MORE;
  while (p == MORE && in->n && !c->call.head.complete) {
    size_t at = str_chr(*in, '\n');
    bool whole = at < in->n;
    struct str part = str_slice(*in, 0, whole ? at + 1 : at);
    *in = str_slice(*in, part.n, in->n);
    if (whole && c->line.n == 0) {
      p = head_line(c, part);
      continue;
    }
    if (buf_str(&c->line, part) < 0)
      return bad(c, "header fields are too large");
    if (!whole)
      break;
    p = head_line(c, buf_view(&c->line));
    if (p == MORE)
      buf_done(&c->line);
  }
  return p;
}

static enum progress give(struct h1_call *c, struct str bytes)
{
  return bytes.n == 0 || upstream_call_data(&c->call, bytes) ? MORE : GONE;
}

static enum progress end_of_message(struct h1_call *c, size_t behind)
{
  if (behind)
    c->keep = false; /* unasked bytes: never a reply to what is sent next */
  h1_complete(c);
  return OVER;
}

static enum progress take_chunks(struct h1_call *c, char *p, size_t n)
{
  size_t data, used = chunked_decode(&c->chunked, p, n, &data);
  bool done = c->chunked.state == CHUNKED_DONE;
  const char *why = c->chunked.bad;
  if (give(c, (struct str){p, data}) == GONE)
    return GONE;
  if (why)
    return bad(c, why);
  return done ? end_of_message(c, n - used) : MORE;
}

static enum progress take_body(struct h1_call *c, char *p, size_t n)
{
  size_t part = n;
  switch (c->body) {
  case BODY_CHUNKED:
    return n ? take_chunks(c, p, n) : MORE;
  case BODY_LENGTH:
    part = n < c->left ? n : (size_t)c->left;
    c->left -= part;
    if (give(c, (struct str){p, part}) == GONE)
      return GONE;
    return c->left == 0 ? end_of_message(c, n - part) : MORE;
  case BODY_NONE:
    return end_of_message(c, n);
  case BODY_TO_END:
    break;
  }
  return give(c, (struct str){p, n});
}

static enum progress take(struct h1_call *c, char *p, size_t n)
{
  struct str in = {p, n};
  if (!c->call.head.complete) {
    enum progress done = take_head(c, &in);
    if (done != MORE || !c->call.head.complete)
      return done;
  }
  return take_body(c, p + (n - in.n), in.n);
}

/* The server will say nothing more. */
static void end_of_stream(struct h1_call *c)
{
  const struct reply *r = &c->call.head;
  if (r->complete && c->body == BODY_TO_END)
    h1_complete(c);
  else if (r->bytes == 0 && c->line.n == 0)
    h1_fail(c, UPSTREAM_BROKEN, "closed the connection without an answer");
  else
    h1_fail(c, UPSTREAM_BROKEN, "closed the connection before the reply was whole");
}

/* One read; MORE: there may be more at once. */
static enum progress read_some(struct h1_conn *n)
{
  struct h1_call *c = n->call;
  char *in = n->pool->h1->in;
  ssize_t got = recv(n->fd, in, H1_READ_SIZE, 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return OVER;
  if (got <= 0) {
    end_of_stream(c);
    return OVER;
  }
  enum progress p = take(c, in, (size_t)got);
  if (p != MORE)
    return p;
  if (c->call.held)
    loop_unwatch(n->pool->loop, &n->watch);
  return c->call.held || got < H1_READ_SIZE ? OVER : MORE;
}

/* Reads the reply; the events may stop the call, end it, or use the connection for the next. */
void h1_read(struct h1_conn *n)
{
  n->inside = true;
  for (int i = 0; i < READS_A_TURN; i++)
    if (read_some(n) != MORE)
      break;
  n->inside = false;
  struct h1_call *stopped = n->stopped;
  n->stopped = NULL;
  if (n->fd < 0)
    free(n);
  if (stopped)
    upstream_call_released(&stopped->call);
}
