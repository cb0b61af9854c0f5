/* The keys of a client that says where they are (jwks_uri; RFC 7591 section 2) and proves itself
 * with them at /token.  Nobody fetches them before: a registration costs no request.  They are
 * fetched as documents are (client_fetch.c), again when they have expired and, at most once a
 * minute, when an assertion that is right in all other respects names a key that is not among them
 * (row 109).  Keys that were good serve on while nobody answers there, for a day. */
#include <stdlib.h>

#include "auth/jwk.h"
#include "http/fetch.h"
#include "oauth/client_impl.h"
#include "util/clock.h"

enum { SERVE_ON_S = 86400 };

const char *client_keys_misfit(const struct oauth *o, const struct client_metadata *m)
{
  if (m->keys_uri.n && client_url_misfit(o, m->keys_uri, &(struct url){0}))
    return o->o.config->oauth.fetch_for_clients ? "jwks_uri is no https URL on the usual port."
                                                : "jwks_uri is not fetched here: use jwks.";
  return NULL;
}

/* What is kept: when it was fetched, a line feed, the set. */
static const char *judge(const struct oauth *o, struct str url, const struct fetch_reply *reply,
                         struct arena *a, struct str *ret_kept)
{
  (void)o;
  (void)url;
  if (reply->status != 200)
    return "its keys are not there";
  if (!client_is_json(reply->content_type))
    return "its keys are not JSON";
  struct jwks *keys = jwks_parse(reply->body, false, NULL);
  bool usable = keys != NULL;
  jwks_free(keys);
  if (!usable)
    return "there is no usable key";
  *ret_kept = str_of(arena_printf(a, "%lld\n%.*s", (long long)clock_wall(), STR_ARG(reply->body)));
  return ret_kept->p ? NULL : "out of memory";
}

const struct client_source client_key_sets = {
    .row = "keys ",
    .accept = "Accept: application/jwk-set+json, application/json",
    .max_reply = LIMIT_CLIENT_KEYS,
    .judge = judge,
};

/* ---- trying */

static struct jwks *keys_of(struct str kept)
{
  size_t line = str_chr(kept, '\n');
  uint64_t at;
  if (line == kept.n || !str_u64(str_slice(kept, 0, line), INT64_MAX / 2, &at) ||
      (int64_t)at + SERVE_ON_S <= clock_wall())
    return NULL;
  return jwks_parse(str_slice(kept, line + 1, kept.n), false, NULL);
}

enum tried { NO_KEYS, NOT_THERE, TRIED };

static enum tried try_them(struct client_keys *k, struct str kept)
{
  struct jwks *keys = kept.n ? keys_of(kept) : NULL;
  if (keys == NULL)
    return NO_KEYS;
  bool there = k->try_keys(k, keys);
  jwks_free(keys);
  return there ? TRIED : NOT_THERE;
}

static void fetched(struct client_wait *w, enum client_status status, struct str kept,
                    const char *why)
{
  struct client_keys *k = container_of(w, struct client_keys, wait);
  (void)why;
  if (status == CLIENT_FOUND)
    try_them(k, kept);
  else if (status == CLIENT_UNAVAILABLE && try_them(k, k->before) == TRIED)
    status = CLIENT_FOUND;
  k->done(k, status);
}

static void fetch(struct client_keys *k)
{
  k->wait = (struct client_wait){.done = fetched};
  if (!client_fetch(k->oauth, &client_key_sets, k->url, k->before, &k->wait))
    fetched(&k->wait, CLIENT_UNAVAILABLE, STR(""), "too much is being fetched");
}

/* ---- in the store */

struct look {
  struct work work;
  struct client_keys *keys; /* the loop's */
  struct str row;
  struct store_document found;
};

static int look(void *arg, struct store_db *db)
{
  struct look *l = arg;
  return work_end(&l->work, store_document_get(db, l->row, l->work.arena, &l->found));
}

static void found(struct client_keys *k, const struct store_document *d)
{
  enum client_age age = client_age(d, clock_wall());
  enum tried tried = age == CLIENT_OLD ? NO_KEYS : try_them(k, d->body);
  if (tried == TRIED || (tried == NOT_THERE && age == CLIENT_NEW))
    k->done(k, CLIENT_FOUND);
  else if (age == CLIENT_FAILED)
    k->done(k, CLIENT_UNAVAILABLE);
  else if (age == CLIENT_NEW)
    k->done(k, CLIENT_REFUSED);
  else
    fetch(k);
}

static void looked(void *arg, bool stored)
{
  static const struct store_document nothing = {.expires_at = 0};
  struct look *l = arg;
  struct client_keys *k = l->keys;
  bool there = stored && l->work.result == STORE_OK;
  k->task = NULL;
  k->before = there && l->found.body.n ? arena_str(k->arena, l->found.body) : STR("");
  if (!stored || k->before.p == NULL)
    k->done(k, CLIENT_UNAVAILABLE);
  else
    found(k, there ? &l->found : &nothing);
}

int client_keys_find(struct client_keys *k, struct oauth *o, struct str url, struct arena *arena)
{
  struct look *l = work_new_of(o, struct look);
  k->oauth = o;
  k->arena = arena;
  k->url = url;
  if (l == NULL)
    return -1;
  l->keys = k;
  l->row = client_row(&client_key_sets, url, l->work.arena);
  if (l->row.p)
    k->task = store_submit(o->o.store, STORE_READ, look, looked, work_free, l);
  if (k->task == NULL)
    work_free(l);
  return k->task ? 0 : -1;
}

void client_keys_cancel(struct client_keys *k)
{
  if (k->task)
    store_cancel(k->task);
  client_leave(&k->wait);
}
