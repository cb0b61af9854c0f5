/* HTTP out to the MCP servers: a seam with two transports (upstream_inside.h says which is for
 * what). One exchange upstream for one exchange with a client, never retried (row 172), replies
 * streamed with back-pressure, one pool of connections a worker.
 *
 * The request is rebuilt by the caller from allow-lists: nothing of the client's raw bytes but the
 * body passes. */
#ifndef HTTP_UPSTREAM_H
#define HTTP_UPSTREAM_H

#include "http/server.h"

struct upstream_pool;
struct upstream_call;

/* Where to; it and its strings live as long as the pool, which knows it by its address. */
struct upstream_target {
  const char *url;         /* http:// or https://, path and query of the configuration included */
  const char *unix_socket; /* NULL: by address */
  const char *ca_file, *egress_proxy;
  int64_t connect_timeout_ms, first_byte_timeout_ms;
};

struct upstream_request {
  const struct upstream_target *target;
  const char *url; /* the target's, or another path of the same origin (legacy messages);
                      copied, as are the headers */
  struct str method;
  const struct http_header *headers;
  size_t n_headers;
  struct str body;          /* must stay until done, or until upstream_cancel returned (called from
                               one of the events: until the end of the turn) */
  bool stands_open;         /* a stream for hours; kept apart, so that calls do not pay for it */
  int64_t total_timeout_ms; /* 0: none */
};

enum upstream_end {
  UPSTREAM_COMPLETE = 1,
  UPSTREAM_UNREACHABLE, /* could not connect, TLS refused */
  UPSTREAM_TIMEOUT,     /* connect, first byte or total */
  UPSTREAM_BROKEN,      /* closed or nonsense before the reply was whole */
};

struct upstream_events {
  /* Status and headers of the final response (1xx skipped).  Then data, then done; none of them
   * from inside upstream_start.  The headers are valid during the call; content_length is -1 when
   * the response does not say. */
  void (*head)(void *arg, int status, const struct http_header *headers, size_t n,
               int64_t content_length);
  /* The bytes are taken either way; false: pause until upstream_resume. */
  bool (*data)(void *arg, struct str bytes);
  /* Last; the call is freed afterwards.  Not after upstream_cancel. */
  void (*done)(void *arg, enum upstream_end end, const char *error);
};

/* A call of the same request twice is the caller's business; the pool delivers each at most once
 * (row 172), never follows a redirect (row 46), never sends what the environment says (row 58). */
struct upstream_pool *upstream_pool_new(struct loop *l, struct err *e);
/* Cancels what runs. */
void upstream_pool_free(struct upstream_pool *p);
/* NULL with E when it cannot start: a header that cannot be sent (row 44), another origin. */
struct upstream_call *upstream_start(struct upstream_pool *p, const struct upstream_request *rq,
                                     const struct upstream_events *events, void *arg,
                                     struct err *e);
void upstream_resume(struct upstream_call *c);
/* Closes the connection at once: the server sees the client gone. */
void upstream_cancel(struct upstream_call *c);

#endif
