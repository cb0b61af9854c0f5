/* OpenID Connect for providers (include/mcpauth/provider.h): where a provider's endpoints are
 * (discovery), and whether an ID token belongs to this login.  A metadata document is kept for an
 * hour; when it cannot be fetched again the old one serves on, for endpoints do not move while a
 * provider is down. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/call.h"
#include "auth/loader.h"
#include "ops/log.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/secret.h"

enum { FRESH_MS = 3600 * 1000, RETRY_MS = 5000, LONGEST_SAID = 120 };

struct mcpauth_issuer {
  struct mcpauth_issuer *next;
  struct mcpauth_instance *instance;
  char *url, *named;
  json_t *document; /* NULL: none yet */
  int64_t again_ms; /* clock_mono_ms: not fetched before */
};

static void issuer_free(struct mcpauth_issuer *i)
{
  if (i == NULL)
    return;
  json_decref(i->document);
  free(i->url);
  free(i->named);
  free(i);
}

void issuers_free(struct mcpauth_instance *i)
{
  while (i->issuers) {
    struct mcpauth_issuer *first = i->issuers;
    i->issuers = first->next;
    issuer_free(first);
  }
}

struct mcpauth_issuer *issuer_new(struct mcpauth_instance *i, const char *url, const char *named)
{
  struct mcpauth_issuer *new = url && i->host ? calloc(1, sizeof *new) : NULL;
  if (new == NULL)
    return NULL;
  new->instance = i;
  new->url = strdup(url);
  new->named = strdup(named ? named : url);
  if (new->url == NULL || new->named == NULL) {
    issuer_free(new);
    return NULL;
  }
  new->next = i->issuers;
  i->issuers = new;
  return new;
}

/* ---- discovery */

struct discovery {
  struct mcpauth_issuer *issuer;
  bool second; /* RFC 8414, after OpenID Connect Discovery had nothing */
  mcpauth_issuer_fn *then;
  void *arg;
};

static enum mcpauth_result fetch(struct mcpauth_request *rq, struct discovery *d);

static void drop(void *json)
{
  json_decref(json);
}

/* The document in use may be replaced while this request still looks at it. */
static enum mcpauth_result use(struct mcpauth_request *rq, struct discovery *d)
{
  json_t *document = json_incref(d->issuer->document);
  if (arena_defer(rq->arena, drop, document) < 0) {
    json_decref(document);
    return call_misuse(rq, "out of memory");
  }
  return d->then(rq, d->arg, MCPAUTH_OK, (const struct mcpauth_claims *)(void *)document);
}

static enum mcpauth_result not_found(struct mcpauth_request *rq, struct discovery *d,
                                     const char *why)
{
  struct mcpauth_issuer *i = d->issuer;
  log_warn("provider %s: discovery of %s: %s", i->instance->provider->name, i->url, why);
  i->again_ms = clock_mono_ms() + RETRY_MS;
  if (i->document)
    return use(rq, d);
  enum mcpauth_result r =
      call_because(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "discovery of %s: %s", i->url, why);
  return d->then(rq, d->arg, r, NULL);
}

static enum mcpauth_result fetched(struct mcpauth_request *rq, void *arg,
                                   const struct mcpauth_http_reply *reply)
{
  struct discovery *d = arg;
  struct err e = {""};
  if (reply->status == 0)
    return not_found(rq, d, reply->error);
  if (!d->second && reply->status >= 400 && reply->status < 500) {
    d->second = true;
    return fetch(rq, d);
  }
  CLEANUP(json_drop)
  json_t *document = reply->status == 200 ? json_parse(str_of_bytes(reply->body), LIMIT_JWT_DEPTH,
                                                       LIMIT_JSON_VALUES, &e)
                                          : NULL;
  if (reply->status != 200)
    err_set(&e, "status %d", reply->status);
  else if (document && !str_is(json_str(document, "issuer"), d->issuer->named))
    err_set(&e, "the document is of another issuer: '%.*s'",
            STR_ARG(str_slice(json_str(document, "issuer"), 0, LONGEST_SAID)));
  if (e.text[0] || !json_is_object(document))
    return not_found(rq, d, e.text[0] ? e.text : "no JSON object");
  json_decref(d->issuer->document);
  d->issuer->document = json_incref(document);
  d->issuer->again_ms = clock_mono_ms() + FRESH_MS;
  return use(rq, d);
}

/* OpenID Connect Discovery 4 puts the well-known path behind the issuer's, RFC 8414 before it. */
static const char *document_url(struct mcpauth_request *rq, const struct discovery *d)
{
  struct url u;
  struct err e = {""};
  struct str issuer = str_of(d->issuer->url);
  if (str_ends(issuer, "/"))
    issuer.n--;
  if (!d->second)
    return host_text(rq, "%.*s/.well-known/openid-configuration", STR_ARG(issuer));
  if (url_parse(issuer, &u, &e) < 0)
    return NULL;
  return host_text(rq, "%s://%.*s/.well-known/oauth-authorization-server%.*s",
                   u.https ? "https" : "http", STR_ARG(u.authority), STR_ARG(u.path));
}

static enum mcpauth_result fetch(struct mcpauth_request *rq, struct discovery *d)
{
  static const char *const headers[] = {"Accept: application/json", NULL};
  struct mcpauth_http_request http = {
      .method = "GET", .url = document_url(rq, d), .headers = headers};
  if (http.url == NULL)
    return call_misuse(rq, "'%s' is no issuer", d->issuer->url);
  return wait_http(rq, &http, fetched, d);
}

enum mcpauth_result host_discover(struct mcpauth_request *rq, struct mcpauth_issuer *issuer,
                                  mcpauth_issuer_fn *then, void *arg)
{
  struct discovery *d = arena_new_of(rq->arena, struct discovery);
  if (issuer == NULL || then == NULL || d == NULL || rq->wait != WAIT_NOTHING)
    return call_misuse(rq, "discover: an argument is missing, or something is outstanding");
  *d = (struct discovery){.issuer = issuer, .then = then, .arg = arg};
  if (issuer->document && clock_mono_ms() < issuer->again_ms)
    return use(rq, d);
  return fetch(rq, d);
}

/* ---- ID tokens */

struct identification {
  const char *client_id, *nonce, *access_token; /* copies; the last two may be NULL */
  mcpauth_jwt_fn *then;
  void *arg;
};

/* OpenID Connect Core 3.1.3.6: the left half of the digest that the signature's algorithm uses; its
 * length says which. */
static bool hash_fits(struct str at_hash, const char *access_token)
{
  unsigned char said[32], digest[EVP_MAX_MD_SIZE];
  size_t n = 0;
  if (base64url_decode(at_hash, said, sizeof said, &n) < 0)
    return false;
  if (n == SHA256_SIZE / 2)
    return sha256(str_of(access_token), digest) == 0 && memcmp(digest, said, n) == 0;
  const EVP_MD *md = n == 24 ? EVP_sha384() : n == 32 ? EVP_sha512() : NULL;
  return md && EVP_Digest(access_token, strlen(access_token), digest, NULL, md, NULL) == 1 &&
         memcmp(digest, said, n) == 0;
}

/* Why these claims are not of this login, or NULL. */
static const char *misfit(const struct identification *id, const json_t *claims)
{
  const json_t *aud = json_object_get(claims, "aud"), *azp = json_object_get(claims, "azp");
  const json_t *at_hash = json_object_get(claims, "at_hash");
  struct str nonce = json_str(claims, "nonce");
  if (azp ? !str_is(json_text(azp), id->client_id) : json_array_size(aud) > 1)
    return "the ID token was issued to another client (azp)";
  if (id->nonce && (nonce.p == NULL || !bytes_eq(nonce, str_of(id->nonce))))
    return "the ID token is not of this login (nonce)";
  if (at_hash && id->access_token && !hash_fits(json_text(at_hash), id->access_token))
    return "the ID token is not of this access token (at_hash)";
  return NULL;
}

/* In a refresh only the grant itself can end it, never a token that we could not read. */
static enum mcpauth_result at_refresh(const struct mcpauth_request *rq, enum mcpauth_result r)
{
  return rq->spec.kind == CALL_REFRESH && r == MCPAUTH_INVALID ? MCPAUTH_ERROR : r;
}

static enum mcpauth_result identified(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result,
                                      const struct mcpauth_claims *claims)
{
  struct identification *id = arg;
  const char *why = result == MCPAUTH_OK ? misfit(id, (const json_t *)(const void *)claims) : NULL;
  if (why) {
    result = call_because(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "%s", why);
    claims = NULL;
  }
  return id->then(rq, id->arg, at_refresh(rq, result), claims);
}

static const char *copy(struct mcpauth_request *rq, const char *text)
{
  return text ? arena_dup(rq->arena, str_of(text)) : NULL;
}

enum mcpauth_result host_id_token(struct mcpauth_request *rq, const struct mcpauth_id_token *id,
                                  mcpauth_jwt_fn *then, void *arg)
{
  struct identification *new = arena_new_of(rq->arena, struct identification);
  if (id == NULL || id->keys == NULL || id->client_id == NULL || id->token == NULL ||
      then == NULL || new == NULL)
    return call_misuse(rq, "id_token: an argument is missing");
  *new = (struct identification){copy(rq, id->client_id), copy(rq, id->nonce),
                                 copy(rq, id->access_token), then, arg};
  if (!new->client_id || (id->nonce && !new->nonce) || (id->access_token && !new->access_token))
    return call_misuse(rq, "out of memory");
  static const char *const types[] = {"JWT", "none"};
  struct mcpauth_jwt_policy policy = {
      .issuers = id->issuers,
      .audiences = {1, &id->client_id},
      .algorithms = id->algorithms,
      .types = {ARRAY_SIZE(types), types},
      .leeway_ms = id->leeway_ms,
      .require_iat = true,
      .require_sub = true,
  };
  struct mcpauth_bytes token = {id->token, strlen(id->token)};
  return wait_id_token(rq, id->keys, &policy, token, identified, new);
}
