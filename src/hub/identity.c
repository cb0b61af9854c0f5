/* Who is calling, told to the upstream (`identity`, `upstream_auth assertion`): as headers, or as a
 * JWT of a minute that the hub signs for this one upstream.  What a client sends under these names
 * never passes (row 42); nothing that the hub writes can end a header line (row 44).
 *
 * A signature costs some twenty microseconds; the same caller at the same service is given the same
 * assertion for REUSE_S.  Assertions are no credentials here: src/auth refuses their `typ`. */
#include "hub/hub.h"

#include <stdlib.h>

#include "ops/log.h"
#include "util/clock.h"
#include "util/json.h"

enum { LIFETIME_S = 60, REUSE_S = 10, PLACES = 1024 };

/* The caller's address in memory names her while the reference is held. */
struct assertion {
  struct principal *who;
  const struct hub_service *service;
  struct buf text;
  int64_t until; /* wall time */
};

struct identity {
  struct assertion places[PLACES];
};

struct identity *identity_new(void)
{
  struct identity *i = calloc(1, sizeof *i);
  for (size_t k = 0; i && k < PLACES; k++)
    buf_init(&i->places[k].text, LIMIT_ASSERTION);
  return i;
}

void identity_free(struct identity *i)
{
  for (size_t k = 0; i && k < PLACES; k++) {
    principal_unref(i->places[k].who);
    buf_wipe(&i->places[k].text);
  }
  free(i);
}

/* ---- what is known */

/* Only an address that nobody says is unverified. */
static struct str email_of(const struct principal *p)
{
  const json_t *verified = json_object_get(p->claims, "email_verified");
  return verified && !json_is_true(verified) ? (struct str){NULL, 0} : json_str(p->claims, "email");
}

static struct str tenant_of(const struct principal *p)
{
  return json_str(p->claims, "tenant");
}

static void put_scopes(struct buf *b, const struct principal *p)
{
  for (size_t i = 0; i < p->scopes.n; i++)
    buf_printf(b, "%s%s", i ? " " : "", p->scopes.v[i]);
}

/* ---- headers */

/* Visible ASCII as it is, all else and '%' itself as %XX of its bytes in UTF-8. */
static void put_escaped(struct buf *b, struct str text)
{
  for (size_t i = 0; i < text.n; i++) {
    unsigned char c = (unsigned char)text.p[i];
    if (c > 0x20 && c < 0x7f && c != '%')
      buf_putc(b, (char)c);
    else
      buf_printf(b, "%%%02X", c);
  }
}

struct out {
  struct arena *arena;
  struct http_header *v;
  size_t n;
  bool failed;
};

static void put(struct out *o, struct str name, struct buf *value)
{
  struct str text = value->failed ? (struct str){NULL, 0} : arena_str(o->arena, buf_view(value));
  o->failed = o->failed || text.p == NULL;
  o->v[o->n++] = (struct http_header){name, text};
  buf_clear(value);
}

static void put_text(struct out *o, struct str name, struct str text)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, LIMIT_IDENTITY_HEADER);
  if (text.p == NULL || text.n == 0)
    return;
  put_escaped(&b, text);
  put(o, name, &b);
}

static void plain(struct out *o, const struct principal *p)
{
  CLEANUP(buf_done) struct buf scopes; /* their grammar is visible ASCII */
  buf_init(&scopes, LIMIT_IDENTITY_HEADER);
  put_scopes(&scopes, p);
  put_text(o, STR("X-Mcpauth-Subject"), str_of(p->subject));
  put_text(o, STR("X-Mcpauth-Issuer"), str_of(p->issuer));
  put_text(o, STR("X-Mcpauth-Client"), str_of(p->client));
  put_text(o, STR("X-Mcpauth-Tenant"), tenant_of(p));
  put_text(o, STR("X-Mcpauth-Email"), email_of(p));
  if (scopes.n || scopes.failed)
    put(o, STR("X-Mcpauth-Scopes"), &scopes);
}

/* ---- assertions */

static void member(struct buf *b, const char *name, struct str value)
{
  if (value.p == NULL || value.n == 0)
    return;
  buf_printf(b, ",\"%s\":", name);
  buf_json(b, value);
}

static int sign(struct hub *h, const struct config_upstream *u, const struct principal *p,
                int64_t now, struct buf *out, struct err *e)
{
  CLEANUP(buf_done) struct buf claims, scopes;
  int64_t until = now + LIFETIME_S;
  buf_init(&claims, LIMIT_ASSERTION);
  buf_init(&scopes, LIMIT_ASSERTION);
  put_scopes(&scopes, p);
  if (p->expires_at && p->expires_at < until)
    until = p->expires_at;
  buf_puts(&claims, "{\"iss\":");
  buf_json(&claims, str_of(h->config->public_url));
  member(&claims, "aud", str_of(u->audience));
  member(&claims, "sub", str_of(p->subject));
  member(&claims, "sub_iss", str_of(p->issuer));
  member(&claims, "client_id", str_of(p->client));
  member(&claims, "scope", buf_view(&scopes));
  member(&claims, "tenant", tenant_of(p));
  member(&claims, "email", email_of(p));
  buf_printf(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long)now, (long long)until);
  if (claims.failed || scopes.failed)
    return err_set(e, "the caller's claims are too long for an assertion");
  return keyring_sign(h->keys, buf_view(&claims), ASSERTION_TYPE, out, e);
}

static struct assertion *place_of(struct hub *h, const struct hub_service *s,
                                  const struct principal *p)
{
  uintptr_t word = ((uintptr_t)p >> 4) * 31 + ((uintptr_t)s >> 4);
  return &h->identity->places[(word ^ word >> 10) % PLACES];
}

/* .p NULL with E when it cannot be made. */
static struct str assertion(struct exchange *x, struct principal *p, struct err *e)
{
  struct assertion *a = place_of(x->hub, x->service, p);
  int64_t now = clock_wall();
  bool fresh = now < a->until && a->until - now <= REUSE_S; /* nor has the clock gone back */
  if (a->who == p && a->service == x->service && fresh)
    return arena_str(x->rq->arena, buf_view(&a->text));
  principal_unref(a->who);
  a->who = NULL;
  buf_wipe(&a->text);
  if (sign(x->hub, &x->service->config->upstream, p, now, &a->text, e) < 0)
    return (struct str){NULL, 0};
  a->who = principal_ref(p);
  a->service = x->service;
  a->until = p->expires_at && p->expires_at < now + REUSE_S ? p->expires_at : now + REUSE_S;
  return arena_str(x->rq->arena, buf_view(&a->text));
}

static void put_assertion(struct out *o, const struct config_upstream *u, struct str text)
{
  if (u->identity == IDENTITY_ASSERTION)
    o->v[o->n++] = (struct http_header){STR("X-Mcpauth-Assertion"), text};
  if (u->auth != UPSTREAM_AUTH_ASSERTION)
    return;
  const char *bearer = arena_printf(o->arena, "Bearer %.*s", STR_ARG(text));
  o->failed = o->failed || bearer == NULL;
  o->v[o->n++] = (struct http_header){STR("Authorization"), str_of(bearer)};
}

int identity_headers(struct exchange *x, struct http_header *out, size_t *ret_n)
{
  const struct config_upstream *u = &x->service->config->upstream;
  struct out o = {.arena = x->rq->arena, .v = out};
  struct err e = {"the caller cannot be told to the upstream"};
  *ret_n = 0;
  if (x->grant == NULL)
    return 0; /* nobody: nothing is said */
  struct principal *p = grant_principal(x->grant);
  if (u->identity == IDENTITY_HEADERS)
    plain(&o, p);
  if (u->identity == IDENTITY_ASSERTION || u->auth == UPSTREAM_AUTH_ASSERTION) {
    struct str text = assertion(x, p, &e);
    o.failed = o.failed || text.p == NULL;
    put_assertion(&o, u, text);
  }
  if (o.failed) {
    log_error("service %s: %s (request %s)", x->service->config->name, e.text, x->rq->id);
    return -1;
  }
  *ret_n = o.n;
  return 0;
}
