/* HTTP in: one worker's server, on libmicrohttpd.  Owns connections, admission, deadlines, limits,
 * TLS, lingering after refusals, back-pressure of streamed responses.  Knows no service and no
 * provider: it hands whole facts up and takes answers.
 *
 * For each request, in this order:
 *
 *   headers (rq)   headers are complete and admitted (design 8.1), the body is unread.  The handler
 *                  answers with http_respond, or asks for the body with http_read_body, now or
 *                  later (meanwhile the connection is watched for the client leaving).
 *   body (rq)      the whole body is there: rq->body, at most what http_read_body named; a larger
 *                  one is answered 413 here, and the handler told by finished.  The handler
 *                  answers, now or later.
 *   drained (rq)   of a streamed response: there is room again after http_write said false.
 *   finished (rq)  exactly once, last, whatever happened: answered in full, client gone, deadline.
 *                  Afterwards RQ is freed at the end of the turn.
 *
 * The client leaving, or a deadline, leads straight to finished: the handler cancels what it
 * started. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <sys/socket.h>

#include "ops/loop.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/limits.h"

struct http_header {
  struct str name, value;
};

/* How a request ended. */
enum http_end {
  HTTP_END_COMPLETE = 1, /* the whole response was handed to the socket */
  HTTP_END_CLIENT_GONE,
  HTTP_END_TIMEOUT,  /* body, stall or total deadline */
  HTTP_END_SHUTDOWN, /* drain_timeout of this worker */
  HTTP_END_ERROR,
};

enum { REQUEST_ID_SIZE = 33 };

struct http_server;

/* HEADERS and METHOD lie in the connection's memory: they live until finished returns. */
struct http_request {
  struct http_server *server;
  struct arena *arena;      /* freed after finished; at most LIMIT_REQUEST_ARENA */
  char id[REQUEST_ID_SIZE]; /* 128 random bits in hex; sent back as X-Request-Id */
  struct str method, raw_target;
  const struct http_header *headers; /* as received, in order; names unique unless list-valued */
  size_t n_headers;
  struct sockaddr_storage peer; /* of the socket; ss_family AF_UNIX for unix sockets */
  char peer_address[64];        /* numeric; "unix" */
  bool tls;
  bool admin;             /* came in through an admin listener */
  int64_t content_length; /* -1: chunked; 0: none */
  struct buf body;        /* after body(); the handler may steal or free it early */
  int64_t started_ms;
  /* what became of it, for finished */
  int status; /* of the response begun; 0: none */
  enum http_end end;
  uint64_t bytes_out; /* of the response body */
  void *user;         /* the handler's */
};

struct http_handler {
  void *self;
  void (*headers)(void *self, struct http_request *rq);
  void (*body)(void *self, struct http_request *rq);
  void (*drained)(void *self, struct http_request *rq);
  void (*finished)(void *self, struct http_request *rq);
  /* Something that admission refused (STATUS sent, reason in WHY); RQ has what could be read; no
   * other callback follows. */
  void (*refused)(void *self, struct http_request *rq, int status, const char *why);
};

struct http_server_options {
  unsigned max_connections, max_connections_per_address;
  int64_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms, stall_timeout_ms;
  size_t body_budget;
  /* peers that are not counted per address; may be NULL */
  bool (*exempt)(void *self, const struct sockaddr *peer);
  /* paths that are answered although all connections are taken: health; may be NULL */
  bool (*urgent)(struct str path);
};

/* One listening socket; the server accepts from it itself. */
struct http_listener {
  int fd;
  bool admin;
  const char *tls_certificate; /* PEM; NULL: plain */
  struct str tls_key;          /* PEM */
  const char *client_ca;       /* PEM: clients may show a certificate; NULL: they are not asked */
};

/* The self-test of the parser adapter runs here: a request with a NUL must be refused on a
 * socketpair, or there is no server. */
struct http_server *http_server_new(struct loop *l, const struct http_server_options *o,
                                    const struct http_listener *listeners, size_t n,
                                    const struct http_handler *h, struct err *e);
/* Stops accepting; adds `Connection: close` to every response from now on; connections close at
 * their next response, idle ones at once when the peer cannot have sent anything, else after
 * keepalive_timeout.  EMPTY (ARG) is called when the last one is gone. */
void http_server_drain(struct http_server *s, void (*empty)(void *arg), void *arg);
/* While draining: closes connections that are between requests, unless the next one has arrived.
 * For a daemon that ends; a client that sends at this very moment has to connect again. */
void http_server_close_idle(struct http_server *s);
/* Ends every open request (HTTP_END_SHUTDOWN) at an event boundary where it streams. */
void http_server_shutdown(struct http_server *s);
void http_server_free(struct http_server *s);
unsigned http_server_connections(const struct http_server *s);

/* The value of the header NAME (compared without case); .p NULL when absent; the first if many. */
struct str http_header(const struct http_request *rq, const char *name);
/* DER of the client's certificate, verified against the listener's client_ca; .n 0 when there is
 * none.  Valid while the request is. */
struct str http_client_certificate(const struct http_request *rq);
size_t http_header_count(const struct http_request *rq, const char *name);

/* ---- answers; HEADERS are validated (token names, no control bytes: else 500) and copied */

/* Now read the body, up to MAX bytes.  May be called inside headers() or later. */
void http_read_body(struct http_request *rq, size_t max);
/* A whole response.  X-Request-Id, Date, X-Content-Type-Options are added here.  Inside headers()
 * with an unread body the connection closes after it, lingering. */
void http_respond(struct http_request *rq, int status, const struct http_header *headers, size_t n,
                  struct str body);
/* Begins a streamed response of LENGTH bytes, or chunked when LENGTH is -1. */
void http_stream(struct http_request *rq, int status, const struct http_header *headers, size_t n,
                 int64_t length);
/* Adds bytes (copied).  false: more than LIMIT_STREAM_BUFFER wait for the client: stop until
 * drained(). */
bool http_write(struct http_request *rq, struct str bytes);
/* The body is complete. */
void http_end(struct http_request *rq);
/* The response cannot be completed: the connection is reset, never ended as if whole. */
void http_abort(struct http_request *rq);
/* Bytes waiting for the client. */
size_t http_waiting(const struct http_request *rq);

#endif
