/* /token: what the grant types share.  token.c judges the request and the client, one handler a
 * grant type does the work, token_answer records it and answers: nothing is handed out before its
 * record is written (row 192). */
#ifndef OAUTH_TOKEN_H
#define OAUTH_TOKEN_H

#include "oauth/client_auth.h"
#include "oauth/issue.h"
#include "oauth/resource.h"

struct token_run {
  struct oauth_exchange *x;
  struct params params;
  const struct token_grant *grant;
  const struct oauth_client *client;
  struct client_auth_run *proof;
  struct store_task *task; /* of the handler */
  void *own;               /* likewise */
  struct audit_ticket ticket;
  bool recording;
  struct str body; /* that waits for its record */
};

/* One grant type. */
struct token_grant {
  const char *name;
  unsigned grant; /* enum grant_type */
  void (*run)(struct token_run *r);
  void (*cancel)(struct token_run *r); /* the client has left; NULL: `task` is cancelled */
};

extern const struct token_grant token_code, token_refresh, token_client, token_assertion;

/* Key sets of assertion_issuers, of one worker. */
int assertions_init(struct oauth *o, struct err *e);
void assertions_free(struct oauth *o);

/* What is handed out; the strings need to live during the call only. */
struct token_success {
  struct issued access;
  struct str refresh; /* "": none */
  struct str scope;
  /* for the record */
  const struct config_service *service;
  struct str provider, issuer, subject, grant;
};
void token_answer(struct token_run *r, const struct token_success *s);
/* ERROR is one of RFC 6749 section 5.2; WHY goes to the record. */
void token_refuse(struct token_run *r, int status, const char *error, const char *description,
                  const char *why);
/* 503: nothing is decided, the client shall try again. */
void token_unavailable(struct token_run *r, const char *why);
/* invalid_grant: the code or refresh token is of no use (any more). */
void token_invalid_grant(struct token_run *r, const char *why);
/* The grant has ended because somebody presented its code again. */
void token_record_replay(struct oauth *o, struct str request_id, struct str address,
                         const struct store_grant *g);

/* The service of that name, if the client may use it; NULL. */
const struct config_service *token_service(const struct token_run *r, struct str name);
/* Whether the parameter `resource` is absent or means S. */
bool token_resource_is(const struct token_run *r, const struct config_service *s);
/* The service that `resource` names, or the one that is meant without it; NULL. */
const struct config_service *token_resource(const struct token_run *r);

#endif
