/* A loop and a pool of upstream connections as a test's client, and calls that note what became of
 * them. */
#ifndef TESTS_UPSTREAM_CLIENT_H
#define TESTS_UPSTREAM_CLIENT_H

#include "tiny_server.h"
#include "http/upstream.h"
#include "util/cleanup.h"

/* How the tests spell the loopback address in URLs.  A number goes by the transport of our own; a
 * build with another spelling tests libcurl's with the same cases. */
#ifndef UPSTREAM_HOST
#define UPSTREAM_HOST "127.0.0.1"
#define UPSTREAM_BY_US
#endif
#define UPSTREAM_SENT "127.0.0.1"

struct call {
  struct loop *loop;
  struct upstream_call *call;
  int status, heads, dones;
  int64_t length;
  char headers[65536];
  struct buf body;
  enum upstream_end end;
  char error[256];
  size_t pause_every; /* bytes after which data() says stop; 0: never */
  size_t since_pause;
  int pauses;
  int *left; /* calls of a group that still run */
  void (*in_head)(struct call *c);
  void (*in_data)(struct call *c);
};

struct client {
  struct loop *loop;
  struct upstream_pool *pool;
  struct upstream_target target;
  char url[256];
  struct timer guard;
  bool late;
};

extern const struct upstream_events call_events;

void client_open(struct client *k, const char *url);
void open_to(struct client *k, const struct tiny_server *s); /* http://127.0.0.1:PORT/mcp */
void client_close(struct client *k);
/* Turns until all calls of a group are done or data() said stop; fails after 60 s. */
void client_run(struct client *k);
/* Turns for MS, whatever happens. */
void client_run_for(struct client *k, int64_t ms);
/* Starts a call; without url and method it is a POST to the target. */
void begin_full(struct client *k, struct call *c, struct upstream_request rq);
void begin(struct client *k, struct call *c, struct str body);
/* The same and turns until it is done. */
void post(struct client *k, struct call *c, struct str body);
void call_free(struct call *c);
void assert_complete(const struct call *c, int status, const char *body);

#define CALL(c) CLEANUP(call_free) struct call c = {0}

/* Every request on every connection gets the text in S->arg. */
void serve_text(struct tiny_server *s, int fd, int nth);
/* The text once, then the end of the connection. */
void serve_text_and_close(struct tiny_server *s, int fd, int nth);

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

#endif
