/* The authorization server of one worker: finds the endpoint of a path, judges method, media type
 * and size, reads the body and lets the endpoint run; see exchange.h.  Called by src/hub. */
#include "oauth/oauth.h"

#include "oauth/client_impl.h"
#include "oauth/exchange.h"
#include "oauth/metadata.h"
#include "oauth/pages.h"
#include "oauth/refresh.h"
#include "oauth/token.h"
#include "oauth/user_token.h"
#include "ops/log.h"

/* Every endpoint: a row that a file of this folder defines.  The first that matches answers. */
#define ENDPOINTS(X)                                                                               \
  X(metadata)                                                                                      \
  X(openid)                                                                                        \
  X(metadata_end)                                                                                  \
  X(openid_end)                                                                                    \
  X(jwks)                                                                                          \
  X(register)                                                                                      \
  X(token)                                                                                         \
  X(revoke)                                                                                        \
  X(introspect)                                                                                    \
  X(authorize)                                                                                     \
  X(consent)                                                                                       \
  X(next)                                                                                          \
  X(callback)

#define X(name) extern const struct endpoint endpoint_##name;
ENDPOINTS(X)
#undef X

static const struct endpoint *const endpoints[] = {
#define X(name) &endpoint_##name,
    ENDPOINTS(X)
#undef X
        NULL, /* ends it */
};

/* ---- the object */

bool oauth_wanted(const struct config *c)
{
  return c->oauth.enabled;
}

struct oauth *oauth_new(const struct oauth_options *options, struct err *e)
{
  /* Loopback: the configuration lets nobody log in at http elsewhere (plain-http-login). */
  if (!options->config->public_parts.https)
    log_warn("public_url is http: the cookies of logins are without __Host- and Secure");
  struct arena *arena = arena_new(MIB(4));
  struct oauth *o = arena ? arena_new_of(arena, struct oauth) : NULL;
  if (o == NULL) {
    arena_free(arena);
    err_set(e, "out of memory");
    return NULL;
  }
  o->o = *options;
  o->arena = arena;
  o->issuer = options->config->public_url;
  o->provider_rest =
      arena_array(arena, options->config->n_providers + 1, sizeof o->provider_rest[0]);
  if (o->provider_rest == NULL) {
    oauth_free(o);
    err_set(e, "out of memory");
    return NULL;
  }
  if (assertions_init(o, e) < 0 || metadata_init(o, e) < 0 || pages_init(o, e) < 0) {
    oauth_free(o);
    return NULL;
  }
  return o;
}

void oauth_stop(struct oauth *o)
{
  if (o == NULL)
    return;
  client_flights_free(o);
  refreshes_free(o);
  user_tokens_free(o);
  assertions_free(o);
}

void oauth_free(struct oauth *o)
{
  oauth_stop(o);
  if (o)
    arena_free(o->arena);
}

/* ---- which endpoint */

static bool matches(const struct endpoint *p, struct str path, struct str *ret_below)
{
  size_t n = str_of(p->path).n;
  bool starts = str_starts(path, p->path), ends = str_ends(path, p->path);
  switch (p->match) {
  case MATCH_EXACT:
    *ret_below = STR("");
    return starts && path.n == n;
  case MATCH_BELOW:
    *ret_below = str_slice(path, n, path.n);
    return starts && (path.n == n || path.p[n] == '/');
  case MATCH_END:
    *ret_below = str_slice(path, 0, path.n - n);
    return ends;
  }
  return false;
}

static const struct endpoint *find(struct str path, struct str *ret_below)
{
  for (size_t i = 0; endpoints[i]; i++)
    if (matches(endpoints[i], path, ret_below))
      return endpoints[i];
  return NULL;
}

bool oauth_has(const struct oauth *o, struct str path)
{
  struct str below;
  return o && find(path, &below);
}

/* ---- one request */

static void method_not_allowed(struct oauth_exchange *x)
{
  const struct http_header allow = {STR("Allow"), exchange_methods(x)};
  if (x->endpoint->open) {
    exchange_refused(x, 405, "method");
    exchange_send(x, 405, "application/json", STR("{\"error\":\"method_not_allowed\"}\n"), &allow,
                  1);
  } else {
    page_error(x, &(struct page_error){.status = 405,
                                       .title = ERROR_METHOD,
                                       .why = ERROR_METHOD_WHY,
                                       .now = ERROR_START_AGAIN,
                                       .record = "method"});
  }
}

static void wrong_type(struct oauth_exchange *x)
{
  if (x->endpoint->open) {
    exchange_refused(x, 415, "media type");
    exchange_error(x, 415, "invalid_request", "The body has not the type that belongs here.");
  } else {
    page_error(x, &(struct page_error){.status = 415,
                                       .title = ERROR_METHOD,
                                       .why = ERROR_METHOD_WHY,
                                       .now = ERROR_START_AGAIN,
                                       .record = "media type"});
  }
}

static void preflight(struct oauth_exchange *x)
{
  const struct endpoint *p = x->endpoint;
  const struct http_header headers[] = {
      {STR("Access-Control-Allow-Methods"), p->post ? STR("GET, POST") : STR("GET")},
      {STR("Access-Control-Allow-Headers"),
       STR("Authorization, Content-Type, MCP-Protocol-Version")},
      {STR("Access-Control-Max-Age"), STR("86400")},
  };
  exchange_send(x, 204, NULL, STR(""), headers, ARRAY_SIZE(headers));
}

static bool media_type(const struct oauth_exchange *x)
{
  struct str rest = http_header(x->rq, "Content-Type"), type;
  const char *wanted = x->endpoint->content_type;
  return str_next(&rest, ';', &type) &&
         str_iis(str_trim(type), wanted ? wanted : "application/x-www-form-urlencoded");
}

/* 0, or the status to refuse with. */
static int judge(const struct oauth_exchange *x)
{
  const struct endpoint *p = x->endpoint;
  struct str method = x->rq->method;
  bool post = str_is(method, "POST");
  if (str_is(method, "OPTIONS") && p->open)
    return 0;
  if (!(post && p->post) && !(str_is(method, "GET") && p->get))
    return 405;
  return post && !media_type(x) ? 415 : 0;
}

struct oauth_exchange *oauth_headers(struct oauth *o, struct http_request *rq,
                                     const struct target *target, const char *client)
{
  struct oauth_exchange *x = arena_new_of(rq->arena, struct oauth_exchange);
  const char *address = arena_dup(rq->arena, str_of(client));
  if (x == NULL || address == NULL) {
    http_abort(rq);
    return NULL;
  }
  *x = (struct oauth_exchange){
      .oauth = o, .rq = rq, .path = target->path, .query = target->query, .address = address};
  x->endpoint = find(target->path, &x->below);
  if (x->endpoint == NULL)
    http_abort(rq);
  else
    /* A response before the body is read would close the connection. */
    http_read_body(rq, !str_is(rq->method, "POST") ? 0
                       : x->endpoint->post         ? x->endpoint->max_body
                                                   : LIMIT_FORM);
  return x;
}

void oauth_body(struct oauth_exchange *x)
{
  int status = judge(x);
  if (status == 405) {
    method_not_allowed(x);
  } else if (status) {
    wrong_type(x);
  } else if (str_is(x->rq->method, "OPTIONS")) {
    preflight(x);
  } else {
    x->endpoint->run(x);
  }
}

void oauth_finished(struct oauth_exchange *x)
{
  if (x && x->cancel) {
    void (*cancel)(void *) = x->cancel;
    x->cancel = NULL;
    cancel(x->waiting);
  }
}
