/* Metadata and keys of the authorization server; see metadata.h.
 *
 * Clients look for the document in different places: behind the issuer, with the path of the
 * service put in (RFC 8414 section 3.1), or with the well-known part behind that path (OpenID). All
 * of these answer with the same document, for paths of services only: elsewhere clients take a 404
 * as "look on". */
#include "oauth/metadata.h"

#include "oauth/json_text.h"
#include "store/keyring.h"

#define WELL_KNOWN_OAUTH  "/.well-known/oauth-authorization-server"
#define WELL_KNOWN_OPENID "/.well-known/openid-configuration"

/* ---- the document */

static const char *const proofs[] = {"none", "client_secret_basic", "client_secret_post",
                                     "private_key_jwt"};
static const char *const algorithms[] = {"ES256", "ES384", "ES512", "EdDSA", "RS256",
                                         "RS384", "RS512", "PS256", "PS384", "PS512"};

/* What clients are told to ask for at the services that log people in. */
static void scopes_supported(struct buf *b, const struct config *c)
{
  const char *names[LIMIT_SCOPES_DECLARED];
  size_t n = 0;
  for (size_t i = 0; i < c->n_scopes; i++) {
    bool named = false;
    for (size_t s = 0; s < c->n_services && !named; s++)
      for (size_t k = 0; k < c->services[s].n_login_scope && !named; k++)
        named = c->services[s].login_scope[k] == c->scopes[i] &&
                config_words_have(&c->services[s].authorization_servers, c->public_url);
    if (named)
      names[n++] = c->scopes[i]->name;
  }
  member_words(b, "scopes_supported", names, n);
}

static bool some_client(const struct config *c, unsigned grant)
{
  for (size_t i = 0; i < c->n_clients; i++)
    if (c->clients[i].grants & grant)
      return true;
  return false;
}

static bool some_introspection(const struct config *c)
{
  for (size_t i = 0; i < c->n_clients; i++)
    if (c->clients[i].introspection)
      return true;
  return false;
}

static bool some_login(const struct config *c)
{
  for (size_t i = 0; i < c->n_services; i++)
    if (config_can_log_in(&c->services[i]))
      return true;
  return false;
}

static void grant_types(struct buf *b, const struct config *c)
{
  const char *v[4];
  size_t n = 0;
  if (some_login(c)) {
    v[n++] = "authorization_code";
    v[n++] = "refresh_token";
  }
  if (some_client(c, GRANT_CLIENT_CREDENTIALS))
    v[n++] = "client_credentials";
  if (c->oauth.n_assertion_issuers)
    v[n++] = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  member_words(b, "grant_types_supported", v, n);
}

static void proof_methods(struct buf *b, const char *endpoint)
{
  char key[96];
  snprintf(key, sizeof key, "%s_auth_methods_supported", endpoint);
  member_words(b, key, proofs, ARRAY_SIZE(proofs));
  snprintf(key, sizeof key, "%s_auth_signing_alg_values_supported", endpoint);
  member_words(b, key, algorithms, ARRAY_SIZE(algorithms));
}

static void login_members(struct buf *b, const struct oauth *o)
{
  static const char *const code[] = {"code"}, *const query[] = {"query"}, *const s256[] = {"S256"};
  const struct config *c = o->o.config;
  member_words(b, "response_types_supported", code, some_login(c));
  if (!some_login(c))
    return;
  member_joined(b, "authorization_endpoint", o->issuer, "/authorize");
  if (c->oauth.registration)
    member_joined(b, "registration_endpoint", o->issuer, "/register");
  member_words(b, "response_modes_supported", query, 1);
  member_words(b, "code_challenge_methods_supported", s256, 1);
  member_bool(b, "authorization_response_iss_parameter_supported", true);
  member_bool(b, "client_id_metadata_document_supported", c->oauth.client_documents);
}

static void introspection_members(struct buf *b, const struct oauth *o)
{
  if (!some_introspection(o->o.config))
    return;
  member_joined(b, "introspection_endpoint", o->issuer, "/introspect");
  member_words(b, "introspection_endpoint_auth_methods_supported", proofs + 1,
               ARRAY_SIZE(proofs) - 1);
}

static void profile_members(struct buf *b, const struct oauth *o)
{
  static const char *const id_jag[] = {"urn:ietf:params:oauth:grant-profile:id-jag"};
  if (o->o.config->oauth.n_assertion_issuers)
    member_words(b, "authorization_grant_profiles_supported", id_jag, 1);
}

/* RFC 9728 section 4 */
static void resources(struct buf *b, const struct config *c)
{
  size_t n = 0;
  buf_puts(b, ",\"protected_resources\":[");
  for (size_t i = 0; i < c->n_services; i++) {
    if (!config_words_have(&c->services[i].authorization_servers, c->public_url))
      continue;
    if (n++)
      buf_putc(b, ',');
    buf_json(b, str_of(c->services[i].resource));
  }
  buf_putc(b, ']');
}

/* What OpenID discovery requires of a document, although no ID token is issued here: clients that
 * read this form refuse one without. */
static void openid_members(struct buf *b)
{
  static const char *const subject[] = {"public"}, *const alg[] = {"ES256"};
  member_words(b, "subject_types_supported", subject, 1);
  member_words(b, "id_token_signing_alg_values_supported", alg, 1);
}

static int make(struct oauth *o, bool openid, struct str *ret)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, MIB(4));
  members_begin(&b);
  member_text(&b, "issuer", str_of(o->issuer));
  member_joined(&b, "token_endpoint", o->issuer, "/token");
  proof_methods(&b, "token_endpoint");
  login_members(&b, o);
  member_joined(&b, "revocation_endpoint", o->issuer, "/revoke");
  proof_methods(&b, "revocation_endpoint");
  introspection_members(&b, o);
  member_joined(&b, "jwks_uri", o->issuer, "/.well-known/jwks.json");
  grant_types(&b, o->o.config);
  profile_members(&b, o);
  scopes_supported(&b, o->o.config);
  resources(&b, o->o.config);
  if (openid)
    openid_members(&b);
  if (members_end(&b) < 0)
    return -1;
  *ret = arena_str(o->arena, buf_view(&b));
  return ret->p ? 0 : -1;
}

int metadata_init(struct oauth *o, struct err *e)
{
  if (make(o, false, &o->metadata) < 0 || make(o, true, &o->openid_metadata) < 0)
    return err_set(e, "the metadata of the authorization server does not fit");
  return 0;
}

/* ---- the endpoints */

/* Anybody may read it, and keep it for MAX_AGE seconds. */
static void send_public(struct oauth_exchange *x, struct str json, int max_age)
{
  char age[32];
  snprintf(age, sizeof age, "max-age=%d", max_age);
  const struct http_header headers[] = {
      {STR("Content-Type"), STR("application/json")},
      {STR("Cache-Control"), str_of(age)},
      {STR("Access-Control-Allow-Origin"), STR("*")},
  };
  http_respond(x->rq, 200, headers, ARRAY_SIZE(headers), json);
}

static bool is_service_path(const struct oauth_exchange *x)
{
  const struct config *c = x->oauth->o.config;
  if (x->below.n == 0 || str_is(x->below, "/"))
    return true;
  for (size_t i = 0; i < c->n_services; i++)
    if (str_eq(c->services[i].path, x->below))
      return true;
  return false;
}

static void send_document(struct oauth_exchange *x, struct str json)
{
  if (is_service_path(x))
    send_public(x, json, 300);
  else
    exchange_error(x, 404, "not_found", "There is no such document.");
}

static void run_oauth(struct oauth_exchange *x)
{
  send_document(x, x->oauth->metadata);
}

static void run_openid(struct oauth_exchange *x)
{
  send_document(x, x->oauth->openid_metadata);
}

static void run_jwks(struct oauth_exchange *x)
{
  send_public(x, keyring_jwks(x->oauth->o.keys), KEYRING_PUBLISH_S);
}

#define DOCUMENT(PATH, MATCH, RUN)                                                                 \
  {                                                                                                \
    .name = "metadata", .path = PATH, .match = MATCH, .get = true, .open = true, .run = RUN        \
  }

const struct endpoint endpoint_metadata = DOCUMENT(WELL_KNOWN_OAUTH, MATCH_BELOW, run_oauth);
const struct endpoint endpoint_openid = DOCUMENT(WELL_KNOWN_OPENID, MATCH_BELOW, run_openid);
const struct endpoint endpoint_metadata_end = DOCUMENT(WELL_KNOWN_OAUTH, MATCH_END, run_oauth);
const struct endpoint endpoint_openid_end = DOCUMENT(WELL_KNOWN_OPENID, MATCH_END, run_openid);
const struct endpoint endpoint_jwks = DOCUMENT("/.well-known/jwks.json", MATCH_EXACT, run_jwks);
