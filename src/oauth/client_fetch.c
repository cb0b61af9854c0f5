/* Fetching what strangers wrote about clients: their documents and their keys (client_document.c,
 * client_keys.c say what is of use).  The URL is a stranger's, too, so only public addresses are
 * reached, without redirects, a few at once and one a host (rows 107-109).  What was read, also
 * that nothing could be, is kept in the store for all workers. */
#include <string.h>

#include "http/fetch.h"
#include "oauth/client_impl.h"
#include "ops/log.h"

enum {
  KEEP_LEAST_S = 60,
  KEEP_MOST_S = 86400,
  KEEP_S = 3600, /* when the reply does not say */
  FETCH_MS = 10000,
};

struct client_flight {
  struct client_flight *next;
  struct oauth *oauth;
  const struct client_source *source;
  struct arena *arena; /* holds this */
  struct str url, host, row;
  struct str before;       /* what was kept before */
  struct fetch *fetch;     /* while it is fetched */
  struct store_task *keep; /* then while what came of it is kept */
  struct client_wait *first;
  enum client_status status;
  struct str kept;
  const char *why;
};

/* ---- the URL */

static bool dot_segment(struct str path)
{
  struct str s;
  while (str_next(&path, '/', &s))
    if (str_is(s, ".") || str_is(s, "..") || str_iis(s, "%2e") || str_iis(s, "%2e%2e") ||
        str_iis(s, ".%2e") || str_iis(s, "%2e."))
      return true;
  return false;
}

const char *client_url_misfit(const struct oauth *o, struct str url, struct url *ret)
{
  bool local = o->o.config->loopback_only;
  if (!o->o.config->oauth.fetch_for_clients)
    return "nothing is fetched for clients here";
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
  struct client_flight *flight; /* the loop's */
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

struct str client_row(const struct client_source *source, struct str url, struct arena *a)
{
  return str_of(arena_printf(a, "%s%.*s", source->row, STR_ARG(url)));
}

enum client_age client_age(const struct store_document *d, int64_t now)
{
  bool lately = d->fetched_at + CLIENT_AGAIN_S > now;
  if (d->expires_at < d->fetched_at)
    return lately ? CLIENT_FAILED : CLIENT_OLD;
  if (d->expires_at <= now)
    return CLIENT_OLD;
  return lately ? CLIENT_NEW : CLIENT_FRESH;
}

bool client_is_json(const char *content_type)
{
  struct str rest = str_of(content_type), type;
  if (!str_next(&rest, ';', &type))
    return false;
  type = str_trim(type);
  return str_iis(type, "application/json") ||
         (str_starts(type, "application/") && str_ends(type, "+json"));
}

/* ---- flights */

static void unlist(struct client_flight *f)
{
  struct client_flight **at = &f->oauth->client_flights;
  while (*at && *at != f)
    at = &(*at)->next;
  if (*at)
    *at = f->next;
}

void client_leave(struct client_wait *w)
{
  if (w->flight == NULL)
    return;
  *w->at = w->next;
  if (w->next)
    w->next->at = w->at;
  w->flight = NULL;
}

static void conclude(struct client_flight *f)
{
  unlist(f);
  while (f->first) {
    struct client_wait *w = f->first;
    client_leave(w);
    w->done(w, f->status, f->kept, f->why);
  }
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
static void keep(struct client_flight *f, struct str body, int64_t seconds)
{
  struct keep *k = work_new_of(f->oauth, struct keep);
  if (k) {
    k->flight = f;
    k->document = (struct store_document){
        .url = work_str(&k->work, f->row), .body = work_str(&k->work, body), .expires_at = seconds};
    if (k->document.url.p && k->document.body.p)
      f->keep = store_submit(f->oauth->o.store, STORE_WRITE, put, kept, work_free, k);
  }
  if (f->keep)
    return;
  work_free(k);
  conclude(f);
}

/* An answer that says nothing about the client is no verdict, but is not asked for again at once;
 * what was kept before stays, as something that has expired. */
static void fetched(void *arg, const struct fetch_reply *reply)
{
  struct client_flight *f = arg;
  bool unknown = reply->status == 0 || reply->status >= 500 || reply->status == 429;
  f->fetch = NULL;
  f->kept = STR("");
  f->why = unknown ? "what it says of itself cannot be had now"
                   : f->source->judge(f->oauth, f->url, reply, f->arena, &f->kept);
  f->status = unknown ? CLIENT_UNAVAILABLE : f->why ? CLIENT_REFUSED : CLIENT_FOUND;
  if (f->status == CLIENT_FOUND) {
    f->why = "";
    keep(f, f->kept, lifetime(reply->max_age_s));
  } else if (unknown) {
    log_info("%.*s: %s", STR_ARG(f->url), reply->status ? "its server is busy" : reply->error);
    keep(f, f->before, -1);
  } else {
    keep(f, STR(""), CLIENT_AGAIN_S);
  }
}

static void join(struct client_flight *f, struct client_wait *w)
{
  w->flight = f;
  w->at = &f->first;
  w->next = f->first;
  if (w->next)
    w->next->at = &w->next;
  f->first = w;
}

static struct fetch *start(struct client_flight *f)
{
  const struct oauth *o = f->oauth;
  const char *const headers[] = {f->source->accept, NULL};
  const struct fetch_request rq = {
      .method = "GET",
      .url = arena_dup(f->arena, f->url),
      .headers = headers,
      .timeout_ms = FETCH_MS,
      .max_reply = f->source->max_reply,
      .ca_file = o->o.config->ca_file,
      .egress_proxy = o->o.config->egress_proxy, /* lint proxied-documents */
      .public_only = true,
      .loopback_too = o->o.config->loopback_only,
  };
  return rq.url ? fetch_start(o->o.fetcher, &rq, fetched, f, NULL) : NULL;
}

static struct client_flight *take_off(struct oauth *o, const struct client_source *source,
                                      struct str url, struct str host, struct str before)
{
  struct arena *a = arena_new(MIB(1));
  struct client_flight *f = a ? arena_new_of(a, struct client_flight) : NULL;
  if (f) {
    *f = (struct client_flight){
        .oauth = o,
        .source = source,
        .arena = a,
        .url = arena_str(a, url),
        .host = arena_str(a, host),
        .row = client_row(source, url, a),
        .before = before.n ? arena_str(a, before) : STR(""),
    };
    if (f->url.p && f->host.p && f->row.p && f->before.p)
      f->fetch = start(f);
  }
  if (f == NULL || f->fetch == NULL) {
    arena_free(a);
    return NULL;
  }
  f->next = o->client_flights;
  o->client_flights = f;
  return f;
}

bool client_fetch(struct oauth *o, const struct client_source *source, struct str url,
                  struct str before, struct client_wait *w)
{
  struct url u;
  size_t n = 0;
  if (client_url_misfit(o, url, &u))
    return false;
  for (struct client_flight *f = o->client_flights; f; f = f->next) {
    if (f->source != source)
      continue;
    if (str_eq(f->url, url)) {
      join(f, w);
      return true;
    }
    if (str_eq(f->host, u.host))
      return false;
    n++;
  }
  struct client_flight *f =
      n < LIMIT_DOCUMENT_FETCHES ? take_off(o, source, url, u.host, before) : NULL;
  if (f)
    join(f, w);
  return f != NULL;
}

void client_flights_free(struct oauth *o)
{
  while (o->client_flights) {
    struct client_flight *f = o->client_flights;
    o->client_flights = f->next;
    fetch_cancel(f->fetch);
    if (f->keep)
      store_cancel(f->keep);
    arena_free(f->arena);
  }
}
