/* The one place that knows libcurl: every curl_easy_setopt of the project is in curl.c.  A hcurl is
 * a multi handle turned by a worker's loop; a transfer is one exchange on it, strict by
 * construction: https and http only, no redirects, no cookies, no netrc, no proxy but a configured
 * one, peers verified, addresses judged at connect time, header fields checked byte by byte, and at
 * most one delivery of a request that is not safe to repeat.  fetch.c and upstream_curl.c are its
 * users.
 *
 * libcurl must not be called back from its own callbacks.  While it runs, hcurl_stop and
 * hcurl_resume note what is wanted and a deferred task of the loop does it. */
#ifndef HTTP_CURL_H
#define HTTP_CURL_H

#include <curl/curl.h>

#include "http/reach.h"
#include "http/server.h"

struct hcurl;
struct hcurl_transfer;

enum hcurl_take {
  HCURL_TAKEN,
  HCURL_PAUSE, /* keep it until hcurl_resume */
  HCURL_STOP,  /* the transfer fails */
};

struct hcurl_events {
  /* Connected; the request goes out now.  May be NULL. */
  void (*sending)(struct hcurl_transfer *t);
  /* A header line with its line end: status lines, fields, the empty line, trailers. */
  enum hcurl_take (*header)(struct hcurl_transfer *t, struct str line);
  enum hcurl_take (*body)(struct hcurl_transfer *t, struct str bytes);
  /* The exchange is over: RC, with words in t->error.  Never called from inside hcurl_start. */
  void (*done)(struct hcurl_transfer *t, CURLcode rc);
  /* After hcurl_stop: libcurl has let go of T and of the body. */
  void (*released)(struct hcurl_transfer *t);
};

/* Fixed for the life of a transfer object. */
struct hcurl_options {
  const char *unix_socket, *ca_file; /* NULL: by address; the system's CAs */
  const char *egress_proxy;          /* NULL: none.  Then REACH is for the proxy to enforce */
  int64_t connect_timeout_ms;
  enum reach reach;
  bool https_only;
};

struct hcurl_request {
  const char *url;
  struct str method;
  const struct http_header *headers;
  size_t n_headers;
  struct str body; /* must stay until done or released */
  bool repeatable; /* may be sent again when a kept connection turns out to be dead */
};

struct hcurl_transfer {
  const struct hcurl_events *on;
  struct hcurl *h;
  CURL *easy;
  enum reach reach;
  bool proxied, repeatable, running, stopped, paused;
  bool sent;   /* the request, or a part of it, may have reached the server */
  bool vetoed; /* an address was refused by REACH */
  bool big;    /* the body goes through the read callback */
  bool custom; /* METHOD is set on the handle */
  int fd;      /* of the connection it uses; -1 */
  struct str body;
  size_t body_at;
  char *url;
  char method[LIMIT_METHOD];
  struct buf text; /* the header lines that FIELDS point to */
  struct curl_slist *fields;
  size_t n_fields;
  struct task resume;
  struct hcurl_transfer *next_stopping;
  char error[CURL_ERROR_SIZE];
};

/* KEPT: most connections kept open, idle ones included. */
struct hcurl *hcurl_new(struct loop *l, long kept, struct err *e);
/* All transfers have ended before. */
void hcurl_free(struct hcurl *h);

int hcurl_transfer_init(struct hcurl_transfer *t, const struct hcurl_options *o,
                        const struct hcurl_events *on, struct err *e);
void hcurl_transfer_done(struct hcurl_transfer *t);

/* Prepares RQ and starts it on H at the end of this turn.  Refuses header fields that are not
 * tokens, have control or non-ASCII bytes, or frame the message (row 44). */
int hcurl_start(struct hcurl *h, struct hcurl_transfer *t, const struct hcurl_request *rq,
                struct err *e);
/* Ends it and closes its connection, at once unless libcurl is running; then released. */
void hcurl_stop(struct hcurl_transfer *t);
void hcurl_resume(struct hcurl_transfer *t);

#endif
