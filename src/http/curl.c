/* Transfers: options, request, callbacks; see curl.h.  The multi handle and its sockets are in
 * curl_loop.c.
 *
 * A request that is not repeatable is delivered at most once.  libcurl 7.88 sends a request again
 * when a kept connection dies before the first byte of the reply, POST included; it asks our
 * pre-request callback before each sending, and the second time the answer is no.  (A body read
 * through a callback that cannot seek stops it too, but not a request without a body.) */
#include "http/curl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/curl_loop.h"
#include "http/headers.h"
#include "http/upstream_inside.h"
#include "util/cleanup.h"
#include "util/url.h"

enum {
  READ_BUFFER = 8192,    /* for each running transfer, idle streams included */
  UPLOAD_BUFFER = 16384, /* the least that libcurl takes */
  COPIED_BODY = 65536,   /* smaller bodies libcurl copies behind the head: one send */
  FIELDS_MAX = LIMIT_HEADERS + 8,
};

/* ---- callbacks of libcurl */

static size_t took(enum hcurl_take take, struct hcurl_transfer *t, size_t n)
{
  switch (take) {
  case HCURL_TAKEN:
    return n;
  case HCURL_PAUSE:
    t->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  case HCURL_STOP:
    break;
  }
  return CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
  struct hcurl_transfer *t = arg;
  (void)size; /* always 1 */
  if (t->stopped)
    return CURL_WRITEFUNC_ERROR;
  return took(t->on->header(t, (struct str){p, n}), t, n);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
  struct hcurl_transfer *t = arg;
  (void)size;
  if (t->stopped)
    return CURL_WRITEFUNC_ERROR;
  return took(t->on->body(t, (struct str){p, n}), t, n);
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
  struct hcurl_transfer *t = arg;
  struct str part = str_slice(t->body, t->body_at, t->body_at + size * n);
  if (t->stopped)
    return CURL_READFUNC_ABORT;
  if (part.n)
    memcpy(to, part.p, part.n);
  t->body_at += part.n;
  return part.n;
}

/* Before each sending of the request. */
static int on_prerequest(void *arg, char *ip, char *local_ip, int port, int local_port)
{
  struct hcurl_transfer *t = arg;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  if (t->stopped || (t->sent && !t->repeatable))
    return CURL_PREREQFUNC_ABORT;
  if (!t->sent && t->on->sending)
    t->on->sending(t);
  t->sent = true;
  return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
  struct hcurl_transfer *t = arg;
  if (purpose != CURLSOCKTYPE_IPCXN || t->stopped || (t->sent && !t->repeatable))
    return CURL_SOCKET_BAD;
  if (!t->proxied && !reach_allows(t->reach, &a->addr)) {
    t->vetoed = true;
    return CURL_SOCKET_BAD;
  }
  return hcurl_socket(t->h, a->family, a->socktype, a->protocol);
}

/* ---- options */

#define SET(option, value)                                                                         \
  do {                                                                                             \
    if (rc == CURLE_OK)                                                                            \
      rc = curl_easy_setopt(t->easy, option, value);                                               \
  } while (0)

/* What no configuration changes. */
static CURLcode set_strict(struct hcurl_transfer *t)
{
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_QUICK_EXIT, 1L); /* else a stop waits for the resolver's thread */
  SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_HTTP09_ALLOWED, 0L);
  SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
  SET(CURLOPT_BUFFERSIZE, (long)READ_BUFFER);
  SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_TCP_KEEPIDLE, (long)UPSTREAM_KEEPALIVE_S);
  SET(CURLOPT_TCP_KEEPINTVL, (long)UPSTREAM_KEEPALIVE_S);
  SET(CURLOPT_MAXAGE_CONN, (long)UPSTREAM_KEPT_S);
  return rc;
}

static CURLcode set_callbacks(struct hcurl_transfer *t)
{
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_PRIVATE, t);
  SET(CURLOPT_ERRORBUFFER, t->error);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, t);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, t);
  SET(CURLOPT_READFUNCTION, on_read); /* and no SEEKFUNCTION: it cannot be rewound */
  SET(CURLOPT_READDATA, t);
  SET(CURLOPT_PREREQFUNCTION, on_prerequest);
  SET(CURLOPT_PREREQDATA, t);
  SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
  SET(CURLOPT_OPENSOCKETDATA, t);
  SET(CURLOPT_CLOSESOCKETFUNCTION, hcurl_close_socket);
  return rc;
}

static CURLcode set_configured(struct hcurl_transfer *t, const struct hcurl_options *o)
{
  CURLcode rc = CURLE_OK;
  SET(CURLOPT_PROTOCOLS_STR, o->https_only ? "https" : "http,https");
  /* "" and not NULL, which would mean the environment's. */
  SET(CURLOPT_PROXY, o->egress_proxy ? o->egress_proxy : "");
  SET(CURLOPT_NOPROXY, "");
  if (o->unix_socket)
    SET(CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
  if (o->ca_file) {
    SET(CURLOPT_CAINFO, o->ca_file);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_PROXY_CAINFO, o->ca_file);
    SET(CURLOPT_PROXY_CAPATH, NULL);
  }
  if (o->connect_timeout_ms > 0)
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
  return rc;
}

int hcurl_transfer_init(struct hcurl_transfer *t, const struct hcurl_options *o,
                        const struct hcurl_events *on, struct err *e)
{
  *t = (struct hcurl_transfer){.on = on, .reach = o->reach, .fd = -1};
  t->proxied = o->egress_proxy != NULL;
  t->resume.run = hcurl_run_resume;
  buf_init(&t->text, KIB(64));
  t->easy = curl_easy_init();
  if (t->easy == NULL)
    return err_set(e, "out of memory");
  CURLcode rc = set_strict(t);
  if (rc == CURLE_OK)
    rc = set_callbacks(t);
  if (rc == CURLE_OK)
    rc = set_configured(t, o);
  if (rc == CURLE_OK)
    return 0;
  hcurl_transfer_done(t);
  return err_set(e, "libcurl refuses an option: %s", curl_easy_strerror(rc));
}

void hcurl_transfer_done(struct hcurl_transfer *t)
{
  if (t->easy)
    curl_easy_cleanup(t->easy);
  t->easy = NULL;
  buf_wipe(&t->text); /* upstream credentials */
  free(t->fields);
  free(t->url);
  t->fields = NULL;
  t->url = NULL;
}

/* ---- the request */

/* Adds one line; libcurl wants "Name;" for an empty value and "Name:" for "do not send". */
static int add_field(struct hcurl_transfer *t, const struct http_header *h, struct err *e)
{
  if (header_sendable(h, e) < 0)
    return -1;
  buf_str(&t->text, h->name);
  if (h->value.n) {
    buf_puts(&t->text, ": ");
    buf_str(&t->text, h->value);
    buf_putc(&t->text, 0);
  } else {
    buf_add(&t->text, ";", 2);
  }
  return 0;
}

static bool has_field(const struct hcurl_request *rq, const char *name)
{
  for (size_t i = 0; i < rq->n_headers; i++)
    if (str_iis(rq->headers[i].name, name))
      return true;
  return false;
}

static int room_for_fields(struct hcurl_transfer *t, size_t n)
{
  if (n <= t->n_fields)
    return 0;
  struct curl_slist *fields = reallocarray(t->fields, n, sizeof *fields);
  if (fields == NULL)
    return -1;
  t->fields = fields;
  t->n_fields = n;
  return 0;
}

/* The list points into TEXT: nothing is allocated for a transfer that was used before. */
static int set_fields(struct hcurl_transfer *t, const struct hcurl_request *rq, struct err *e)
{
  size_t n = rq->n_headers;
  buf_clear(&t->text);
  if (n > LIMIT_HEADERS + 4)
    return err_set(e, "too many header fields");
  for (size_t i = 0; i < rq->n_headers; i++)
    if (add_field(t, &rq->headers[i], e) < 0)
      return -1;
  /* What libcurl would add by itself. */
  static const char *const quiet[] = {"Accept", "Content-Type", "Expect"};
  for (size_t i = 0; i < ARRAY_SIZE(quiet); i++) {
    if (has_field(rq, quiet[i]))
      continue;
    buf_puts(&t->text, quiet[i]);
    buf_add(&t->text, ":", 2);
    n++;
  }
  if (t->text.failed || room_for_fields(t, n) < 0)
    return err_set(e, "header fields are too large");
  char *at = t->text.p;
  for (size_t i = 0; i < n; i++) {
    t->fields[i] = (struct curl_slist){at, i + 1 < n ? &t->fields[i + 1] : NULL};
    at += strlen(at) + 1;
  }
  return 0;
}

static CURLcode set_method(struct hcurl_transfer *t, const struct hcurl_request *rq)
{
  CURLcode rc = CURLE_OK;
  bool post = str_is(rq->method, "POST"), get = str_is(rq->method, "GET");
  bool with_body = post || rq->body.n;
  /* The body's options are set each time; they make it a POST by themselves. */
  t->big = rq->body.n >= COPIED_BODY || (t->url && strncmp(t->url, "https", 5) == 0);
  if (with_body) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body.n);
    SET(CURLOPT_POSTFIELDS, t->big && rq->body.n ? NULL : rq->body.n ? rq->body.p : "");
  } else {
    SET(CURLOPT_HTTPGET, 1L);
  }
  bool custom = !post && !(get && !with_body);
  if (custom == t->custom && (!custom || str_is(rq->method, t->method)))
    return rc;
  memcpy(t->method, rq->method.p, rq->method.n);
  t->method[rq->method.n] = 0;
  t->custom = custom;
  SET(CURLOPT_CUSTOMREQUEST, custom ? t->method : NULL);
  return rc;
}

static int set_url(struct hcurl_transfer *t, const char *url, struct err *e)
{
  struct url parts;
  if (t->url && strcmp(t->url, url) == 0)
    return 0;
  if (url_parse(str_of(url), &parts, e) < 0)
    return err_prefix(e, "URL");
  char *copy = strdup(url);
  if (copy == NULL || curl_easy_setopt(t->easy, CURLOPT_URL, url) != CURLE_OK) {
    free(copy);
    return err_set(e, "out of memory");
  }
  free(t->url);
  t->url = copy;
  return 0;
}

int hcurl_start(struct hcurl *h, struct hcurl_transfer *t, const struct hcurl_request *rq,
                struct err *e)
{
  if (header_method_sendable(rq->method, e) < 0 || set_url(t, rq->url, e) < 0 ||
      set_fields(t, rq, e) < 0)
    return -1;
  CURLcode rc = set_method(t, rq);
  SET(CURLOPT_HTTPHEADER, t->fields);
  if (t->h != h)
    SET(CURLOPT_CLOSESOCKETDATA, h);
  if (rc != CURLE_OK)
    return err_set(e, "libcurl refuses the request: %s", curl_easy_strerror(rc));
  t->h = h;
  t->fd = -1;
  t->body = rq->body;
  t->body_at = 0;
  t->repeatable = rq->repeatable;
  t->stopped = t->paused = t->sent = t->vetoed = false;
  t->error[0] = 0;
  return hcurl_add(h, t, e);
}

/* The connection is not to be kept, whatever the protocol: the server sees us gone. */
void hcurl_forbid_reuse(struct hcurl_transfer *t, bool forbid)
{
  curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, (long)forbid);
}
