/* HTTP out to identity providers and key sets (libcurl): small replies, strict TLS, no redirects,
 * no environment proxies, address policy at connect time (row 107, 108).  One per worker, in its
 * loop.  Every curl_easy_setopt of the project is in src/http/curl.c. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include "ops/loop.h"
#include "util/str.h"

struct fetcher;
struct fetch;

struct fetch_request {
  const char *method, *url;
  const char *const *headers; /* "Name: value", NULL at the end */
  struct str body;
  int64_t timeout_ms; /* total; connect at most 3 s of it; 0: 5 s */
  size_t max_reply;
  const char *ca_file, *egress_proxy; /* NULL: system CAs, no proxy */
  bool public_only; /* URL came from a stranger: public unicast addresses, port 443.  Behind a proxy
                       that is the proxy's to see to: here only hosts are refused that are such an
                       address, or no name of the public DNS */
  bool loopback_too; /* and loopback: the hub itself is reachable on loopback only */
};

struct fetch_reply {
  int status;               /* 0: no answer, or none that could be read whole */
  const char *error;        /* "" or why, without secrets */
  const char *content_type; /* "" when not said */
  int64_t max_age_s;        /* Cache-Control: max-age; -1: not said */
  struct str body;
};

typedef void fetch_done_fn(void *arg, const struct fetch_reply *reply);

struct fetcher *fetcher_new(struct loop *l, struct err *e);
void fetcher_free(struct fetcher *f);
/* NULL with E when it cannot start (bad URL, plain http off loopback, bad header).  RQ and what it
 * points to is copied.  DONE is called once, from the loop, never from inside fetch_start; what the
 * reply points to is valid during the call.  A GET may be sent again when a kept connection turns
 * out to be dead, nothing else is. */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *rq, fetch_done_fn *done,
                          void *arg, struct err *e);
void fetch_cancel(struct fetch *x); /* done is not called; NULL is fine */

#endif
