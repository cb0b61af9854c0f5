/* What one line answers for one request: from the identity cache, from an evaluation of the same
 * credential that is under way already (single flight), or by a call of the provider.  Private to
 * src/auth; used by authenticate.c. */
#ifndef AUTH_IDENTIFY_H
#define AUTH_IDENTIFY_H

#include "auth/cache.h"
#include "auth/call.h"

enum {
  IDENTITY_CACHE_MAX = 100000,
  IDENTITY_TTL_MS = 300 * 1000, /* whatever a provider allows */
};
#define IDENTITY_HUB UINT32_MAX /* cache_key.provider of the hub's own tokens */

struct identify; /* one worker's */
struct flight;

/* One line at work for one request; embedded in it. */
struct identify_line {
  struct mcpauth_instance *instance;
  bool account;
  bool keyed; /* KEY names a credential: its OK may be kept, its evaluation shared */
  struct cache_key key;
  const struct mcpauth_credential *credential; /* all borrowed until the answer */
  const struct mcpauth_facts *facts;
  struct principal *who;
  json_t *known;
  uint64_t revocations; /* of the hub, before the stack began */
  /* The answer, from the loop; what it does not take is dropped afterwards. */
  void (*done)(struct identify_line *l, struct call_answer *a);

  bool same_look;        /* as the request that the call was made with */
  struct flight *flight; /* that it waits for, or NULL */
  struct identify_line *next, **at;
};

struct identify *identify_new(struct host *h);
void identify_free(struct identify *t);
/* The principal that the cache holds for L->key; borrowed, or NULL. */
struct principal *identify_cached(struct identify *t, const struct identify_line *l);
/* The same for tokens of the hub: what identify_keep put there.  KEY->provider is IDENTITY_HUB. */
struct principal *identify_known(struct identify *t, const struct cache_key *key);
/* REVOCATIONS: of the hub, before P was established. */
void identify_keep(struct identify *t, const struct cache_key *key, struct principal *p,
                   uint64_t revocations);
/* true: *RET is the answer.  false: L->done will be called, unless identify_cancel comes first. */
bool identify_start(struct identify *t, struct identify_line *l, struct call_answer *ret);
void identify_cancel(struct identify_line *l);
/* Revocations of the hub so far. */
uint64_t identify_revocations(const struct identify *t);

#endif
