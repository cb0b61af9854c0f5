/* Looking clients up; see client.h.  The configuration comes first, then documents by the form of
 * the id, then the store. */
#include "oauth/client.h"

#include <string.h>

#include "oauth/client_impl.h"
#include "util/clock.h"
#include "util/digest.h"

struct client_run {
  struct oauth *oauth;
  struct arena *arena;
  struct str id;
  enum client_use use;
  client_done_fn *done;
  void *arg;
  struct lookup *lookup; /* in the store */
  struct store_task *task;
  struct client_wait wait;
};

/* ---- a client from what is known of it */

const struct client_impl *client_impl(const struct oauth_client *c)
{
  return c->impl;
}

struct redirect_policy client_policy(const struct oauth *o)
{
  const struct config *c = o->o.config;
  return (struct redirect_policy){.own = &c->public_parts,
                                  .allow = c->oauth.redirect_allow.v,
                                  .n_allow = c->oauth.redirect_allow.n};
}

/* Any change of what matters for a login changes it. */
static int digest(enum client_kind kind, const struct client_metadata *m,
                  unsigned char ret[SHA256_SIZE])
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, MIB(1));
  buf_printf(&b, "%d", (int)kind);
  return client_metadata_put(m, &b) < 0 ? -1 : sha256(buf_view(&b), ret);
}

/* The `scope` of a registration is what the client meant to ask for when it registered.  It is no
 * bound: a client that steps up asks for what a 403 has told it later. */
struct oauth_client *client_make(enum client_kind kind, struct str id,
                                 const struct client_metadata *m, struct arena *a)
{
  struct oauth_client *c = arena_new_of(a, struct oauth_client);
  struct client_impl *impl = arena_new_of(a, struct client_impl);
  if (c == NULL || impl == NULL)
    return NULL;
  *impl = (struct client_impl){.grants = m->grants};
  *c = (struct oauth_client){
      .kind = kind,
      .auth = m->auth,
      .id = arena_dup(a, id),
      .name = m->name.n ? arena_dup(a, m->name) : "",
      .may_log_in = m->grants & GRANT_CODE,
      .impl = impl,
  };
  c->redirect_uris.v = arena_array(a, m->redirect_uris.n + 1, sizeof(char *));
  for (size_t i = 0; c->redirect_uris.v && i < m->redirect_uris.n; i++)
    c->redirect_uris.v[c->redirect_uris.n++] = arena_dup(a, str_of(m->redirect_uris.v[i]));
  impl->secret = arena_str(a, m->secret);
  impl->keys = arena_str(a, m->keys);
  impl->keys_uri = m->keys_uri.n ? arena_str(a, m->keys_uri) : STR("");
  if (c->id == NULL || c->name == NULL || c->redirect_uris.v == NULL || impl->secret.p == NULL ||
      impl->keys.p == NULL || impl->keys_uri.p == NULL || digest(kind, m, c->digest) < 0)
    return NULL;
  return c;
}

/* ---- those of the configuration */

static struct oauth_client *configured(const struct config_client *from, struct arena *a)
{
  static const enum client_auth auths[] = {
      [PROOF_NONE] = CLIENT_AUTH_NONE,
      [PROOF_SECRET] = CLIENT_AUTH_SECRET,
      [PROOF_KEY] = CLIENT_AUTH_KEY,
  };
  const struct client_metadata m = {
      .name = str_of(from->text ? from->text : from->name),
      .redirect_uris = from->redirect_uris,
      .auth = auths[from->proof],
      .keys = from->keys,
      .keys_uri = STR(""),
      .secret = STR(""),
      .grants = from->grants,
      .scope = STR(""),
  };
  struct oauth_client *c = client_make(CLIENT_CONFIGURED, str_of(from->name), &m, a);
  if (c == NULL)
    return NULL;
  ((struct client_impl *)c->impl)->configured = from;
  c->scopes = from->scopes;
  return c;
}

static const struct config_client *find_configured(const struct oauth *o, struct str id)
{
  for (size_t i = 0; i < o->o.config->n_clients; i++)
    if (str_is(id, o->o.config->clients[i].name))
      return &o->o.config->clients[i];
  return NULL;
}

/* ---- the answer */

static void answer(struct client_run *r, enum client_status status, const struct oauth_client *c,
                   const char *why)
{
  if (status == CLIENT_FOUND && c == NULL) {
    status = CLIENT_UNAVAILABLE;
    why = "out of memory";
  }
  r->done(r->arg, status, c, why);
}

static const char *host_of(struct str url, struct arena *a)
{
  struct url u;
  return url_parse(url, &u, NULL) == 0 ? arena_dup(a, u.authority) : NULL;
}

static void answer_document(struct client_run *r, const struct client_metadata *m)
{
  struct oauth_client *c = client_make(CLIENT_DOCUMENT, r->id, m, r->arena);
  if (c && (c->host = host_of(r->id, r->arena)) == NULL)
    c = NULL;
  answer(r, CLIENT_FOUND, c, "");
}

static void document_done(struct client_wait *w, enum client_status status, struct str kept,
                          const char *why)
{
  struct client_run *r = container_of(w, struct client_run, wait);
  struct client_metadata m;
  if (status == CLIENT_FOUND && client_metadata_read(kept, r->arena, &m) == 0)
    answer_document(r, &m);
  else
    answer(r, status == CLIENT_FOUND ? CLIENT_UNAVAILABLE : status, NULL, why);
}

/* ---- in the store */

struct lookup {
  struct work work;
  struct client_run *run;
  struct str id;
  bool document;
  struct store_client client;
  struct store_document body;
};

static int look(void *arg, struct store_db *db)
{
  struct lookup *l = arg;
  struct arena *a = l->work.arena;
  return work_end(&l->work, l->document ? store_document_get(db, l->id, a, &l->body)
                                        : store_client_get(db, l->id, a, &l->client));
}

static void fetch(struct client_run *r, struct str before)
{
  r->wait = (struct client_wait){.done = document_done};
  if (!client_fetch(r->oauth, &client_documents, r->id, before, &r->wait))
    answer(r, CLIENT_UNAVAILABLE, NULL, "too many client documents are being fetched");
}

/* At /token what was good at the login serves on: a client whose site is down for an hour does not
 * lose its users. */
static void document_found(struct client_run *r, const struct lookup *l)
{
  struct client_metadata m;
  bool there = l->work.result == STORE_OK;
  bool good = there && l->body.body.n && client_metadata_read(l->body.body, r->arena, &m) == 0;
  enum client_age age = there ? client_age(&l->body, clock_wall()) : CLIENT_OLD;
  bool fresh = age == CLIENT_NEW || age == CLIENT_FRESH;
  if (good && (fresh || r->use == CLIENT_AT_TOKEN))
    answer_document(r, &m);
  else if (r->use == CLIENT_AT_TOKEN)
    answer(r, CLIENT_UNKNOWN, NULL, "nobody has logged in with this document");
  else if (age == CLIENT_FAILED)
    answer(r, CLIENT_UNAVAILABLE, NULL, "its document could not be had a moment ago");
  else if (fresh)
    answer(r, CLIENT_REFUSED, NULL, "its document could not be used a moment ago");
  else
    fetch(r, good ? l->body.body : STR(""));
}

static void answer_registered(struct client_run *r, const struct client_metadata *m, bool approved)
{
  struct oauth_client *c = client_make(CLIENT_REGISTERED, r->id, m, r->arena);
  if (c)
    c->approved = approved;
  answer(r, CLIENT_FOUND, c, "");
}

static void client_found(struct client_run *r, const struct lookup *l)
{
  struct client_metadata m;
  if (l->work.result == STORE_NONE || l->work.result == STORE_EXPIRED)
    answer(r, CLIENT_UNKNOWN, NULL, "no such client is registered");
  else if (l->work.result != STORE_OK ||
           client_metadata_read(l->client.registration, r->arena, &m) < 0)
    answer(r, CLIENT_UNAVAILABLE, NULL, "its registration cannot be read");
  else
    answer_registered(r, &m, l->client.approved);
}

static void looked(void *arg, bool stored)
{
  struct lookup *l = arg;
  struct client_run *r = l->run;
  r->task = NULL;
  if (!stored)
    answer(r, CLIENT_UNAVAILABLE, NULL, "the store cannot be asked");
  else if (l->document)
    document_found(r, l);
  else
    client_found(r, l);
}

static struct client_run *ask_store(struct client_run *r, bool document)
{
  struct lookup *l = work_new_of(r->oauth, struct lookup);
  if (l) {
    l->run = r;
    l->id = work_str(&l->work, r->id);
    l->document = document;
    r->task = store_submit(r->oauth->o.store, STORE_READ, look, looked, work_free, l);
    if (r->task)
      return r;
    work_free(l);
  }
  answer(r, CLIENT_UNAVAILABLE, NULL, "too much is waiting for the store");
  return NULL;
}

/* Ours are made of letters, digits, '-' and '_': anything else needs no look-up. */
static bool registered_form(struct str id)
{
  if (id.n == 0 || id.n > 128)
    return false;
  for (size_t i = 0; i < id.n; i++) {
    char c = id.p[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_'))
      return false;
  }
  return true;
}

struct client_run *client_find(struct oauth *o, struct arena *a, struct str id, enum client_use use,
                               client_done_fn *done, void *arg)
{
  struct client_run *r = arena_new_of(a, struct client_run);
  struct str copy = id.n ? arena_str(a, id) : STR("");
  if (r == NULL || copy.p == NULL) {
    done(arg, CLIENT_UNAVAILABLE, NULL, "out of memory");
    return NULL;
  }
  *r =
      (struct client_run){.oauth = o, .arena = a, .id = copy, .use = use, .done = done, .arg = arg};
  const struct config_client *known = find_configured(o, copy);
  if (known)
    answer(r, CLIENT_FOUND, configured(known, a), "");
  else if (document_is(o, copy)) {
    const char *misfit = client_url_misfit(o, copy, &(struct url){0});
    if (misfit == NULL)
      return ask_store(r, true);
    answer(r, CLIENT_REFUSED, NULL, misfit);
  } else if (registered_form(copy))
    return ask_store(r, false);
  else
    answer(r, CLIENT_UNKNOWN, NULL, "no client has such an id");
  return NULL;
}

void client_cancel(struct client_run *r)
{
  if (r == NULL)
    return;
  if (r->task)
    store_cancel(r->task);
  client_leave(&r->wait);
}
