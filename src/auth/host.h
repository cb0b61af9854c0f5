/* The provider host's side of include/mcpauth/provider.h: the instances of one worker and what they
 * share.  Private to src/auth: host.c (the table of functions), instance.c (start, stop, check,
 * watched files), call.c and wait.c (one call of a provider), authenticate.c (stacks). */
#ifndef AUTH_HOST_H
#define AUTH_HOST_H

#include "auth/authenticate.h"
#include "auth/keyset.h"
#include "auth/usage.h"
#include "ops/jobs.h"
#include "ops/loop.h"

struct host;
struct watched_file;

/* One `provider NAME { }` in this process. */
struct mcpauth_instance {
  const struct config_provider *provider;
  struct host *host; /* NULL while `check` runs: there is nothing to wait with */
  void *state;       /* what `start` returned */
  bool started;
  bool reuses;       /* the last OK might be reused: worth sharing an evaluation */
  struct lane *lane; /* made when first needed */
  unsigned stuck;    /* jobs still running for calls that are over */
  uint64_t files;    /* watched files read so far: an older identity is stale */
  struct watched_file *watched;
  struct opened_keyset {
    struct opened_keyset *next;
    struct keyset *keys;
  } * keysets;
  struct mcpauth_issuer *issuers;
  struct err *report; /* of `check` */
  const char *report_option;
};

/* What one worker's instances share. */
struct host {
  struct auth_options options;
  struct usage *usage; /* NULL: uses are not counted */
  struct mcpauth_instance *instances;
  size_t n;
  unsigned lane_threads; /* jobs of one lane that can run at once */
  unsigned abandoned;    /* stuck jobs of all instances */
  struct timer look;     /* at watched files */
  bool looking;
};

int host_start(struct host *h, const struct auth_options *o, struct err *e);
/* Instances with a stuck job are left alone: their thread still uses them, the process ends. */
void host_stop(struct host *h);
struct host *auth_host(struct auth *a); /* authenticate.c */
/* openid.c: metadata of providers. */
struct mcpauth_issuer *issuer_new(struct mcpauth_instance *i, const char *url, const char *named);
void issuers_free(struct mcpauth_instance *i);
/* The lane of an instance, or NULL. */
struct lane *instance_lane(struct mcpauth_instance *i);
int instance_watch(struct mcpauth_instance *i, const char *path, size_t max_size,
                   int (*changed)(void *arg, struct mcpauth_bytes content), void *arg);
struct mcpauth_keyset *instance_keyset(struct mcpauth_instance *i,
                                       const struct mcpauth_keyset_source *source);

/* host_text.c: what mcpauth_host offers under the same names. */
const char *host_json_text(struct mcpauth_request *rq, struct mcpauth_bytes text);
void host_hmac_sha256(struct mcpauth_bytes key, struct mcpauth_bytes data, unsigned char out[32]);
const char *host_basic(struct mcpauth_request *rq, const char *client_id,
                       const struct mcpauth_secret *secret);
const char *host_jwt_sign(struct mcpauth_request *rq, const struct mcpauth_secret *key,
                          const char *kid, const char *claims);

static inline struct str str_of_bytes(struct mcpauth_bytes b)
{
  return (struct str){b.p, b.n};
}

#endif
