/* Client ID Metadata Documents: a client's id is the URL of a document that says what it is.  The
 * URL is a stranger's, so it is fetched from public addresses only, without redirects, a few at
 * once and one a host (rows 107-109).  What was read, also that nothing could be, is kept in the
 * store for all workers. */
#include <string.h>

#include "http/fetch.h"
#include "oauth/client_impl.h"
#include "util/clock.h"
#include "util/json.h"

enum {
  KEEP_LEAST_S = 60,
  KEEP_MOST_S = 86400,
  KEEP_S = 3600,   /* when the reply does not say */
  KEEP_BAD_S = 60, /* nothing usable was there */
  FETCH_MS = 10000,
};

struct document_flight {
  struct document_flight *next;
  struct oauth *oauth;
  struct arena *arena; /* holds this */
  struct str url, host;
  struct fetch *fetch;     /* while it is fetched */
  struct store_task *keep; /* then while what came of it is kept */
  struct document_wait *first;
  enum client_status status;
  struct client_metadata metadata;
  const char *why;
};

/* ---- the URL */

bool document_is(const struct oauth *o, struct str id)
{
  return o->o.config->oauth.client_documents &&
         (str_starts(id, "https://") || (o->o.config->loopback_only && str_starts(id, "http://")));
}

static bool dot_segment(struct str path)
{
  struct str s;
  while (str_next(&path, '/', &s))
    if (str_is(s, ".") || str_is(s, "..") || str_iis(s, "%2e") || str_iis(s, "%2e%2e") ||
        str_iis(s, ".%2e") || str_iis(s, "%2e."))
      return true;
  return false;
}

const char *document_misfit(const struct oauth *o, struct str url, struct url *ret)
{
  bool local = o->o.config->loopback_only;
  if (url.n > LIMIT_CLIENT_ID || url_parse(url, ret, NULL) < 0)
    return "its URL is not sound";
  if (!ret->https && !(local && url_loopback(ret)))
    return "its URL is not https";
  if (ret->path.n < 2)
    return "its URL has no path";
  if (dot_segment(ret->path))
    return "its URL has dot segments";
  if (ret->port != 443 && !(local && url_loopback(ret)))
    return "its URL has a port of its own";
  return NULL;
}

/* ---- keeping */

struct keep {
  struct work work;
  struct document_flight *flight; /* the loop's */
  struct store_document document;
};

static int put(void *arg, struct store_db *db)
{
  struct keep *k = arg;
  k->document.fetched_at = store_time(db);
  k->document.expires_at += k->document.fetched_at;
  return work_end(&k->work, store_document_put(db, &k->document));
}

static int64_t lifetime(int64_t max_age)
{
  if (max_age < 0)
    return KEEP_S;
  return max_age < KEEP_LEAST_S ? KEEP_LEAST_S : max_age > KEEP_MOST_S ? KEEP_MOST_S : max_age;
}

/* ---- judging */

static bool is_json(const char *content_type)
{
  struct str rest = str_of(content_type), type;
  if (!str_next(&rest, ';', &type))
    return false;
  type = str_trim(type);
  return str_iis(type, "application/json") ||
         (str_starts(type, "application/") && str_ends(type, "+json"));
}

/* NULL, or why the reply is of no use. */
static const char *judge(struct document_flight *f, const struct fetch_reply *reply,
                         struct client_metadata *ret)
{
  struct metadata_error bad;
  struct redirect_policy policy = client_policy(f->oauth);
  if (reply->status != 200)
    return "its document is not there";
  if (!is_json(reply->content_type))
    return "its document is not JSON";
  CLEANUP(json_drop) json_t *o = json_parse(reply->body, 8, 1000, NULL);
  if (!json_is_object(o))
    return "its document is not one JSON object";
  if (!str_eq(json_str(o, "client_id"), f->url))
    return "the client_id in its document is not the document's URL";
  if (json_str(o, "client_name").n == 0)
    return "its document has no client_name";
  if (client_metadata_judge(&policy, o, true, f->arena, ret, &bad) < 0) {
    const char *why = arena_printf(f->arena, "its document: %s", bad.text);
    return why ? why : "its document will not do";
  }
  return NULL;
}

/* ---- flights */

static void unlist(struct document_flight *f)
{
  struct document_flight **at = &f->oauth->documents;
  while (*at && *at != f)
    at = &(*at)->next;
  if (*at)
    *at = f->next;
}

void document_leave(struct document_wait *w)
{
  if (w->flight == NULL)
    return;
  *w->at = w->next;
  if (w->next)
    w->next->at = w->at;
  w->flight = NULL;
}

static void tell(struct document_flight *f, enum client_status status,
                 const struct client_metadata *m, const char *why)
{
  while (f->first) {
    struct document_wait *w = f->first;
    document_leave(w);
    w->done(w, status, m, why);
  }
}

static void conclude(struct document_flight *f)
{
  unlist(f);
  tell(f, f->status, f->status == CLIENT_FOUND ? &f->metadata : NULL, f->why);
  arena_free(f->arena);
}

/* What could not be kept is fetched again. */
static void kept(void *arg, bool stored)
{
  const struct keep *k = arg;
  (void)stored;
  k->flight->keep = NULL;
  conclude(k->flight);
}

/* Kept first, then told: who comes back at once finds it. */
static void keep(struct document_flight *f, struct str body, int64_t seconds)
{
  struct keep *k = work_new_of(f->oauth, struct keep);
  if (k) {
    k->flight = f;
    k->document = (struct store_document){
        .url = work_str(&k->work, f->url), .body = work_str(&k->work, body), .expires_at = seconds};
    f->keep = store_submit(f->oauth->o.store, STORE_WRITE, put, kept, work_free, k);
  }
  if (f->keep)
    return;
  work_free(k);
  conclude(f);
}

/* An answer that says nothing about the client is no verdict, but is not asked for again at once.
 */
static void fetched(void *arg, const struct fetch_reply *reply)
{
  struct document_flight *f = arg;
  bool unknown = reply->status == 0 || reply->status >= 500;
  const char *why = unknown ? "its document cannot be had now" : judge(f, reply, &f->metadata);
  CLEANUP(buf_done) struct buf body;
  buf_init(&body, MIB(1));
  f->fetch = NULL;
  f->status = unknown ? CLIENT_UNAVAILABLE : why ? CLIENT_REFUSED : CLIENT_FOUND;
  f->why = why ? why : "";
  if (why == NULL && client_metadata_put(&f->metadata, &body) == 0)
    keep(f, buf_view(&body), lifetime(reply->max_age_s));
  else
    keep(f, STR(""), KEEP_BAD_S);
}

static void join(struct document_flight *f, struct document_wait *w)
{
  w->flight = f;
  w->at = &f->first;
  w->next = f->first;
  if (w->next)
    w->next->at = &w->next;
  f->first = w;
}

static struct document_flight *take_off(struct oauth *o, struct str url, struct str host)
{
  static const char *const headers[] = {"Accept: application/json", NULL};
  struct arena *a = arena_new(MIB(1));
  struct document_flight *f = a ? arena_new_of(a, struct document_flight) : NULL;
  struct fetch_request rq = {
      .method = "GET",
      .headers = headers,
      .timeout_ms = FETCH_MS,
      .max_reply = LIMIT_CLIENT_DOCUMENT,
      .ca_file = o->o.config->ca_file,
      .egress_proxy = NULL, /* a proxy would connect to whatever address it finds */
      .public_only = true,
      .loopback_too = o->o.config->loopback_only,
  };
  if (f) {
    *f = (struct document_flight){
        .oauth = o, .arena = a, .url = arena_str(a, url), .host = arena_str(a, host)};
    rq.url = arena_dup(a, url);
    f->fetch = rq.url && f->host.p ? fetch_start(o->o.fetcher, &rq, fetched, f, NULL) : NULL;
  }
  if (f == NULL || f->fetch == NULL) {
    arena_free(a);
    return NULL;
  }
  f->next = o->documents;
  o->documents = f;
  return f;
}

bool document_fetch(struct oauth *o, struct str url, struct document_wait *w)
{
  struct url u;
  size_t n = 0;
  if (document_misfit(o, url, &u))
    return false;
  for (struct document_flight *f = o->documents; f; f = f->next, n++) {
    if (str_eq(f->url, url)) {
      join(f, w);
      return true;
    }
    if (str_eq(f->host, u.host))
      return false;
  }
  struct document_flight *f = n < LIMIT_DOCUMENT_FETCHES ? take_off(o, url, u.host) : NULL;
  if (f)
    join(f, w);
  return f != NULL;
}

void documents_free(struct oauth *o)
{
  while (o->documents) {
    struct document_flight *f = o->documents;
    o->documents = f->next;
    fetch_cancel(f->fetch);
    if (f->keep)
      store_cancel(f->keep);
    arena_free(f->arena);
  }
}
