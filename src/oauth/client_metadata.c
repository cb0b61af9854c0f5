/* Client metadata; see client_metadata.h. */
#include "oauth/client_metadata.h"

#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "oauth/json_text.h"
#include "util/json.h"

static int refuse(struct metadata_error *e, const char *error, const char *text)
{
  e->error = error;
  snprintf(e->text, sizeof e->text, "%s", text);
  return -1;
}

static int bad(struct metadata_error *e, const char *text)
{
  return refuse(e, "invalid_client_metadata", text);
}

/* ---- judging */

static bool clean(struct str s)
{
  return str_plain(s) && str_utf8(s);
}

static int judge_name(const json_t *from, struct client_metadata *m, struct metadata_error *e)
{
  const json_t *name = json_object_get(from, "client_name");
  m->name = name ? json_text(name) : STR("");
  if (m->name.p == NULL || !clean(m->name) || m->name.n > LIMIT_CLIENT_NAME)
    return bad(e, "client_name must be a text of at most 256 bytes without control characters.");
  return 0;
}

static int judge_method(const json_t *from, bool document, struct client_metadata *m,
                        struct metadata_error *e)
{
  const json_t *member = json_object_get(from, "token_endpoint_auth_method");
  struct str method = json_text(member);
  m->auth = CLIENT_AUTH_NONE;
  if (member == NULL || str_is(method, "none"))
    return 0; /* a client that does not say gets no secret that it would have to keep */
  if (str_is(method, "private_key_jwt"))
    m->auth = CLIENT_AUTH_KEY;
  else if (str_is(method, "client_secret_basic") || str_is(method, "client_secret_post"))
    m->auth = CLIENT_AUTH_SECRET;
  else
    return bad(e, "token_endpoint_auth_method must be none, client_secret_basic, "
                  "client_secret_post or private_key_jwt.");
  m->post = str_is(method, "client_secret_post");
  if (document && m->auth == CLIENT_AUTH_SECRET)
    return bad(e, "A client that is known by its document has no shared secret.");
  return 0;
}

static int judge_jwks(const json_t *jwks, struct arena *a, struct client_metadata *m,
                      struct metadata_error *e)
{
  struct err why = {""};
  AUTO_FREE char *text = json_dumps(jwks, JSON_COMPACT);
  struct jwks *keys = text ? jwks_parse(str_of(text), false, &why) : NULL;
  if (keys == NULL)
    return bad(e, "jwks has no key that could verify the client's assertions.");
  jwks_free(keys);
  m->keys = arena_str(a, str_of(text));
  return m->keys.p ? 0 : bad(e, "out of memory");
}

/* RFC 7591 section 2: one of the two, never both. */
static int judge_keys(const json_t *from, struct arena *a, struct client_metadata *m,
                      struct metadata_error *e)
{
  const json_t *jwks = json_object_get(from, "jwks"), *uri = json_object_get(from, "jwks_uri");
  struct str text = json_text(uri);
  m->keys = m->keys_uri = STR("");
  if (m->auth != CLIENT_AUTH_KEY)
    return 0;
  if ((jwks != NULL) == (uri != NULL))
    return bad(e, "private_key_jwt needs the client's keys in jwks, or their URL in jwks_uri.");
  if (jwks)
    return judge_jwks(jwks, a, m, e);
  if (text.n == 0 || text.n > LIMIT_CLIENT_ID || !clean(text))
    return bad(e, "jwks_uri must be a URL.");
  m->keys_uri = arena_str(a, text);
  return m->keys_uri.p ? 0 : bad(e, "out of memory");
}

static bool lists(const json_t *array, const char *word)
{
  size_t i;
  json_t *v;
  json_array_foreach(array, i, v) if (str_is(json_text(v), word)) return true;
  return false;
}

/* What we cannot do is left out of the reply (RFC 7591 section 3.2.1), unless nothing is left. */
static int judge_grants(const json_t *from, struct client_metadata *m, struct metadata_error *e)
{
  const json_t *grants = json_object_get(from, "grant_types");
  const json_t *responses = json_object_get(from, "response_types");
  if ((grants && !json_is_array(grants)) || (responses && !json_is_array(responses)))
    return bad(e, "grant_types and response_types must be lists.");
  if ((grants && !lists(grants, "authorization_code")) || (responses && !lists(responses, "code")))
    return bad(e, "Clients register here for the authorization code grant only.");
  m->grants = GRANT_CODE;
  /* One that does not say, or that forgot it, stays logged in like the others. */
  if (grants == NULL || lists(grants, "refresh_token"))
    m->grants |= GRANT_REFRESH;
  return 0;
}

static int judge_redirects(const struct redirect_policy *policy, const json_t *from,
                           struct arena *a, struct client_metadata *m, struct metadata_error *e)
{
  const json_t *list = json_object_get(from, "redirect_uris");
  enum redirect_error why = REDIRECT_SYNTAX;
  size_t i;
  json_t *v;
  if (!json_is_array(list) || json_array_size(list) == 0)
    return refuse(e, "invalid_redirect_uri", "redirect_uris must be a list of one URI or more.");
  if (json_array_size(list) > LIMIT_REDIRECT_URIS)
    return refuse(e, "invalid_redirect_uri", "There are more than 32 redirect_uris.");
  m->redirect_uris.v = arena_array(a, json_array_size(list), sizeof(char *));
  json_array_foreach(list, i, v)
  {
    struct redirect r;
    struct str uri = json_text(v);
    enum redirect_error judged =
        uri.p ? redirect_acceptable(policy, uri, m->auth == CLIENT_AUTH_NONE, &r) : REDIRECT_SYNTAX;
    if (judged != REDIRECT_OK)
      why = judged;
    else if (m->redirect_uris.v && !config_words_have_str(&m->redirect_uris, uri))
      m->redirect_uris.v[m->redirect_uris.n++] = arena_dup(a, uri);
  }
  if (m->redirect_uris.n == 0)
    return refuse(e, "invalid_redirect_uri", redirect_error_text(why));
  return m->redirect_uris.v[m->redirect_uris.n - 1] ? 0 : bad(e, "out of memory");
}

/* A document must not show a secret, not even one that nobody uses. */
static int judge_secrets(const json_t *from, bool document, struct metadata_error *e)
{
  if (document &&
      (json_object_get(from, "client_secret") || json_object_get(from, "client_secret_expires_at")))
    return bad(e, "The document must not have a client_secret.");
  return 0;
}

static int judge_scope(const json_t *from, struct arena *a, struct client_metadata *m,
                       struct metadata_error *e)
{
  const json_t *scope = json_object_get(from, "scope");
  struct str text = json_text(scope);
  m->scope = STR("");
  if (scope && (text.p == NULL || !clean(text) || text.n > LIMIT_CLIENT_SCOPE))
    return bad(e, "scope must be a text of scope names with spaces between.");
  if (text.n)
    m->scope = arena_str(a, text);
  return m->scope.p ? 0 : bad(e, "out of memory");
}

int client_metadata_judge(const struct redirect_policy *policy, const json_t *from, bool document,
                          struct arena *a, struct client_metadata *ret, struct metadata_error *e)
{
  struct client_metadata m = {.name = STR("")};
  if (!json_is_object(from))
    return bad(e, "The metadata must be a JSON object.");
  if (judge_secrets(from, document, e) < 0 || judge_name(from, &m, e) < 0 ||
      judge_method(from, document, &m, e) < 0 || judge_keys(from, a, &m, e) < 0 ||
      judge_grants(from, &m, e) < 0 || judge_scope(from, a, &m, e) < 0 ||
      judge_redirects(policy, from, a, &m, e) < 0)
    return -1;
  m.name = m.name.n ? arena_str(a, m.name) : STR("");
  *ret = m;
  return m.name.p ? 0 : bad(e, "out of memory");
}

/* ---- the normal form */

int client_metadata_put(const struct client_metadata *m, struct buf *out)
{
  members_begin(out);
  member_text(out, "name", m->name);
  member_words(out, "redirect_uris", m->redirect_uris.v, m->redirect_uris.n);
  member_number(out, "auth", m->auth);
  member_number(out, "grants", m->grants);
  member_text(out, "scope", m->scope);
  if (m->keys.n)
    member_text(out, "keys", m->keys);
  if (m->keys_uri.n)
    member_text(out, "keys_uri", m->keys_uri);
  if (m->secret.n)
    member_text(out, "secret", m->secret);
  return members_end(out);
}

static struct str kept(const json_t *o, const char *key, struct arena *a)
{
  struct str s = json_str(o, key);
  return s.n ? arena_str(a, s) : STR("");
}

static int read_redirects(const json_t *o, struct arena *a, struct config_words *ret)
{
  const json_t *list = json_object_get(o, "redirect_uris");
  size_t i;
  json_t *v;
  ret->n = 0;
  ret->v = arena_array(a, json_array_size(list) + 1, sizeof(char *));
  json_array_foreach(list, i, v)
  {
    const char *uri = ret->v && json_is_string(v) ? arena_dup(a, json_text(v)) : NULL;
    if (uri == NULL)
      return -1;
    ret->v[ret->n++] = uri;
  }
  return ret->n ? 0 : -1;
}

int client_metadata_read(struct str text, struct arena *a, struct client_metadata *ret)
{
  CLEANUP(json_drop) json_t *o = json_parse(text, 8, 1000, NULL);
  struct client_metadata m = {.name = STR("")};
  if (o == NULL || read_redirects(o, a, &m.redirect_uris) < 0)
    return -1;
  json_int_t auth = json_integer_value(json_object_get(o, "auth"));
  if (auth < CLIENT_AUTH_NONE || auth > CLIENT_AUTH_KEY)
    return -1;
  m.auth = (enum client_auth)auth;
  m.grants = (unsigned)json_integer_value(json_object_get(o, "grants"));
  m.name = kept(o, "name", a);
  m.scope = kept(o, "scope", a);
  m.keys = kept(o, "keys", a);
  m.keys_uri = kept(o, "keys_uri", a);
  m.secret = kept(o, "secret", a);
  if (!m.name.p || !m.scope.p || !m.keys.p || !m.keys_uri.p || !m.secret.p)
    return -1;
  *ret = m;
  return 0;
}
