/* Sessions at upstreams (protocols up to 2025-11-25): the upstream's id is sealed to the caller on
 * its way out and opened on its way in, in the Mcp-Session-Id header and in the message endpoint of
 * the legacy transport.  What does not open is a session that does not exist: 404.  Nobody is let
 * in by a session: who calls was decided before (row 79). */
#include "hub/hub.h"

#include <string.h>

#include "ops/callers.h"

static struct seal_owner nobody(const struct exchange *x)
{
  return (struct seal_owner){.service = str_of(x->service->config->name)};
}

static struct seal_owner owner(const struct exchange *x)
{
  struct seal_owner o = nobody(x);
  if (x->grant) {
    const struct principal *p = grant_principal(x->grant);
    o.issuer = str_of(p->issuer);
    o.subject = str_of(p->subject);
    o.client = str_of(p->client);
  }
  return o;
}

uint64_t session_owner_key(const struct exchange *x)
{
  struct seal_owner o = owner(x);
  return x->grant ? caller_key(x->hub->shm, CALLER_OWNER, o.issuer, o.subject, o.client) : 0;
}

/* Where nobody logs in, nobody's sessions stay nobody's. */
static bool may_be_claimed(const struct exchange *x)
{
  return x->service->config->stack.n_auth > 0;
}

/* Sealed to this caller; or to nobody, and she is the first to go on with it: a client that begins
 * without a credential and logs in when it must keeps its session. */
static int open_sealed(struct exchange *x, enum seal_use use, struct str sealed, struct buf *out)
{
  struct seal_owner o = owner(x);
  struct sealer *s = x->hub->sealer;
  if (x->grant && seal_open(s, use, &o, sealed, out, &x->session) == 0)
    return 0;
  o = nobody(x);
  if (seal_open(s, use, &o, sealed, out, &x->session) == 0 &&
      (!may_be_claimed(x) || caller_session_claim(x->hub->shm, x->session, session_owner_key(x))))
    return 0;
  x->session = 0;
  return -1;
}

/* The sealed message endpoint of a legacy stream: POST SERVICE?sessionId=SEALED, nothing else. */
static struct str sealed_endpoint(const struct exchange *x)
{
  struct str q = x->target.query;
  if (!str_is(x->rq->method, "POST") || !str_starts(q, "sessionId=") ||
      config_words_have(&x->service->config->forward_query, "sessionId"))
    return (struct str){NULL, 0};
  return str_slice(q, strlen("sessionId="), q.n);
}

static bool opened(struct exchange *x, enum seal_use use, struct str sealed, struct str *ret)
{
  struct buf plain;
  buf_init(&plain, LIMIT_SEALED + 1);
  bool good = open_sealed(x, use, sealed, &plain) == 0;
  if (good)
    *ret = arena_str(x->rq->arena, buf_view(&plain));
  buf_done(&plain);
  return good && ret->p;
}

static void seen(struct exchange *x)
{
  if (x->session && x->grant)
    caller_session_seen(x->hub->shm, x->session, grant_principal(x->grant)->expires_at);
}

/* An id was sealed to this caller. */
static void made(struct exchange *x)
{
  seen(x);
  if (x->session && x->grant == NULL && may_be_claimed(x))
    caller_session_begun(x->hub->shm, x->session);
}

/* The modern era has no sessions: what names one there is not looked at and not passed on. */
bool session_open(struct exchange *x)
{
  if (x->op.era == ERA_MODERN)
    return true;
  struct str endpoint = sealed_endpoint(x);
  if (endpoint.p && !opened(x, SEAL_ENDPOINT, endpoint, &x->session_endpoint))
    return false;
  struct str given = http_header(x->rq, "Mcp-Session-Id");
  if (given.p && !opened(x, SEAL_SESSION, given, &x->session_id))
    return false;
  x->session_given = given;
  seen(x);
  return true;
}

/* An id that the client has shown is given back as it has it. */
struct str session_header(struct exchange *x, struct str id)
{
  struct str none = {NULL, 0};
  if (x->session_id.p && str_eq(id, x->session_id))
    return x->session_given;
  struct seal_owner o = owner(x);
  struct buf sealed;
  buf_init(&sealed, 2 * LIMIT_SEALED);
  struct str text = none;
  if (id.n <= LIMIT_SESSION_ID &&
      seal_make(x->hub->sealer, SEAL_SESSION, &o, id, &sealed, &x->session) == 0)
    text = arena_str(x->rq->arena, buf_view(&sealed));
  buf_done(&sealed);
  made(x);
  return text;
}

int session_endpoint(struct exchange *x, struct str data, struct buf *out, struct err *e)
{
  const struct config_service *s = x->service->config;
  struct seal_owner o = owner(x);
  if (endpoint_seal(x->hub->sealer, &o, &s->upstream.parts, data, out, &x->session, e) < 0)
    return -1;
  made(x);
  return 0;
}
