/* What upstream.c and its two transports share: targets, calls, stages.  A transport carries a call
 * over a connection: upstream_h1.c plain HTTP/1.1 to numeric addresses, localhost and unix sockets,
 * upstream_curl.c everything else (TLS, HTTP/2, names, proxies).  Private to src/http.
 *
 * A transport tells what happens with the upstream_call_* functions, never from inside its start,
 * and ends a call with exactly one of upstream_call_over and, after its stop,
 * upstream_call_released. */
#ifndef HTTP_UPSTREAM_INSIDE_H
#define HTTP_UPSTREAM_INSIDE_H

#include "http/reply.h"
#include "http/upstream.h"
#include "util/url.h"

enum {
  UPSTREAM_KEPT_S = 4, /* node and uvicorn close after 5 s: be first, not in a race */
  UPSTREAM_KEEPALIVE_S = 60,
};

/* A target, what we know of it, and its prepared calls. */
struct upstream_site {
  const struct upstream_target *target;
  const struct upstream_transport *transport;
  struct url url;
  void *own; /* the transport's */
  struct upstream_call *spare;
  struct upstream_site *next; /* in its bucket */
};

struct upstream_pool {
  struct loop *loop;
  struct hcurl *calls, *streams; /* upstream_curl.c */
  struct h1 *h1;                 /* upstream_h1.c */
  struct upstream_site **sites;  /* hashed by address; n_buckets is a power of two */
  size_t n_buckets, n_sites;
  unsigned n_spare;
  struct upstream_call *first; /* all that run */
};

enum upstream_stage { UPSTREAM_CONNECTING, UPSTREAM_WAITING, UPSTREAM_REPLYING };

/* The first member of a transport's own call. */
struct upstream_call {
  struct upstream_pool *pool;
  struct upstream_site *site;
  const struct upstream_events *events;
  void *arg;
  enum upstream_stage stage;
  bool running;       /* started, and not over, cancelled or stopped */
  bool held;          /* data() said stop */
  const char *why;    /* our own reason for ending it */
  struct timer timer; /* the stage's deadline or the total one, whichever is first */
  int64_t stage_due_ms, total_due_ms; /* 0: none */
  struct reply head;
  struct upstream_call *next, *prev;
};

struct upstream_transport {
  /* What a target of this kind has of its own; 0, or -1 with E.  May be NULL. */
  int (*site_init)(struct upstream_pool *p, struct upstream_site *s, struct err *e);
  void (*site_free)(struct upstream_site *s);
  /* A new call of this target, zeroed but for what the transport prepares. */
  struct upstream_call *(*new_call)(struct upstream_site *s, struct err *e);
  void (*free_call)(struct upstream_call *c);
  int (*start)(struct upstream_call *c, const struct upstream_request *rq, struct err *e);
  void (*resume)(struct upstream_call *c);
  /* Closes the connection at once; no event comes any more but upstream_call_released. */
  void (*stop)(struct upstream_call *c);
};

extern const struct upstream_transport upstream_curl, upstream_h1;

int upstream_curl_init(struct upstream_pool *p, struct err *e);
void upstream_curl_done(struct upstream_pool *p);
int upstream_h1_init(struct upstream_pool *p, struct err *e);
void upstream_h1_done(struct upstream_pool *p);
/* Whether upstream_h1 can carry calls to this target. */
bool upstream_h1_serves(const struct upstream_target *t, const struct url *u);

/* The request goes out now: the wait for the first byte begins. */
void upstream_call_sending(struct upstream_call *c);
/* c->head is complete.  false: the call was cancelled in the event. */
bool upstream_call_head(struct upstream_call *c);
/* false: cancelled.  c->held says whether to pause. */
bool upstream_call_data(struct upstream_call *c, struct str bytes);
void upstream_call_over(struct upstream_call *c, enum upstream_end end, const char *error);
void upstream_call_released(struct upstream_call *c);

#endif
