/* Limits per caller, over all workers: requests a second and what may be open at once, of one
 * principal, client and address; and credentials that were no good, of one address at one service:
 * those who guess wait before anything is verified for them.  What is over a limit is 429 with
 * Retry-After.  Nothing is looked up for a limit that is not set.
 *
 * Addresses of IPv6 count by their /64, which is what one subscriber has.  Unix sockets have no
 * address: there whoever forwards does the counting. */
#include "hub/hub.h"

#include <arpa/inet.h>
#include <string.h>

#include "ops/callers.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60000 };

static uint64_t key_of(struct exchange *x, enum caller_kind kind, struct str a, struct str b)
{
  return caller_key(x->hub->shm, kind, a, b, STR(""));
}

/* 0 for those who have no address of their own. */
static uint64_t address_key(struct exchange *x, enum caller_kind kind, struct str service)
{
  unsigned char raw[16];
  struct str address = str_of(x->client);
  if (str_is(address, "unix") || address.n == 0)
    return 0;
  if (inet_pton(AF_INET6, x->client, raw) == 1)
    address = (struct str){(const char *)raw, 8};
  return key_of(x, kind, address, service);
}

static uint64_t principal_key(struct exchange *x)
{
  const struct principal *p = grant_principal(x->grant);
  return key_of(x, CALLER_PRINCIPAL, str_of(p->issuer), str_of(p->subject));
}

static uint64_t client_key(struct exchange *x)
{
  const struct principal *p = grant_principal(x->grant);
  return p->client ? key_of(x, CALLER_CLIENT, str_of(p->issuer), str_of(p->client)) : 0;
}

/* ---- before the credential is looked at */

static bool refuse_limited(struct exchange *x, int64_t wait_ms, const char *why)
{
  metric_add(METRIC_LIMITED, 1);
  if (x->grant)
    record_refusal(x, 429, why);
  else
    record_refused(x, NULL, 429, why);
  refuse_later(x, wait_ms);
  return false;
}

bool limit_address(struct exchange *x)
{
  unsigned rate = x->hub->config->limits.requests_per_address;
  if (rate == 0)
    return true;
  int64_t wait =
      caller_spend(x->hub->shm, address_key(x, CALLER_ADDRESS, STR("")), rate, SECOND_MS);
  return wait == 0 || refuse_limited(x, wait, "rate of the address");
}

/* ---- guessing */

static uint64_t failures_key(struct exchange *x)
{
  return address_key(x, CALLER_FAILURES, str_of(x->service->config->name));
}

bool limit_guessing(struct exchange *x)
{
  unsigned rate = x->hub->config->limits.failures_per_address;
  if (rate == 0 || !x->has_credential)
    return true;
  int64_t wait = caller_wait(x->hub->shm, failures_key(x), rate, MINUTE_MS);
  if (wait == 0)
    return true;
  struct auth_request rq;
  auth_request_of(x, x->rq->arena, &rq);
  return auth_knows(x->hub->auth, &rq) || refuse_limited(x, wait, "failures of the address");
}

/* Forged or unknown: not expired, not for another service, not early. */
void limit_failed(struct exchange *x, const struct auth_outcome *o)
{
  unsigned rate = x->hub->config->limits.failures_per_address;
  bool forged = o->why == MCPAUTH_WHY_NONE || o->why == MCPAUTH_WHY_NOT_ACCEPTED;
  if (rate && x->has_credential && o->status == 401 && forged)
    caller_spend(x->hub->shm, failures_key(x), rate, MINUTE_MS);
}

/* ---- who is calling is known */

bool limit_caller(struct exchange *x)
{
  const struct config_limits *l = &x->hub->config->limits;
  int64_t wait = 0;
  if (l->requests_per_principal)
    wait = caller_spend(x->hub->shm, principal_key(x), l->requests_per_principal, SECOND_MS);
  if (wait)
    return refuse_limited(x, wait, "rate of the principal");
  if (l->requests_per_client)
    wait = caller_spend(x->hub->shm, client_key(x), l->requests_per_client, SECOND_MS);
  return wait == 0 || refuse_limited(x, wait, "rate of the client");
}

/* ---- open at once */

static bool opened(struct exchange *x, uint64_t key, unsigned max, enum open_slot slot)
{
  if (max == 0 || key == 0)
    return true;
  x->open[slot] = caller_stream_open(x->hub->shm, key, max);
  return x->open[slot] != 0;
}

bool limit_open(struct exchange *x)
{
  static const char *const whys[] = {"open calls of the principal", "open calls of the client",
                                     "open calls of the address"};
  const struct config_limits *l = &x->hub->config->limits;
  enum open_slot full = OPEN_SLOTS;
  if (x->grant && l->open_per_principal &&
      !opened(x, principal_key(x), l->open_per_principal, OPEN_PRINCIPAL))
    full = OPEN_PRINCIPAL;
  else if (x->grant && l->open_per_client &&
           !opened(x, client_key(x), l->open_per_client, OPEN_CLIENT))
    full = OPEN_CLIENT;
  else if (l->open_per_address &&
           !opened(x, address_key(x, CALLER_ADDRESS, STR("")), l->open_per_address, OPEN_ADDRESS))
    full = OPEN_ADDRESS;
  return full == OPEN_SLOTS || refuse_limited(x, SECOND_MS, whys[full]);
}

void limit_closed(struct exchange *x)
{
  for (int i = 0; i < OPEN_SLOTS; i++)
    if (x->open[i])
      caller_stream_close(x->hub->shm, x->open[i]);
}
