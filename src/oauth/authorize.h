/* What /authorize was asked, judged; shared by the files of the browser's way:
 *
 *   authorize.c         /authorize: client and redirect URI first, then everything else
 *   authorize_request.c the judgement itself, pure
 *   known.c             what the store knows of the person who signed in last
 *   consent.c           /consent: the person's answer, and /consent/next, which sends on
 *   consent_page.c      the page
 *   callback.c          /callback/PROVIDER: the provider's answer, until there is a principal
 *   callback_store.c    what of it is kept, and the code */
#ifndef OAUTH_AUTHORIZE_H
#define OAUTH_AUTHORIZE_H

#include "oauth/pages.h"
#include "oauth/scopes.h"
#include "oauth/transaction.h"

/* Why a request is refused. */
struct authorize_error {
  const char *error;       /* OAuth's word; NULL: no error */
  const char *description; /* printable ASCII */
  bool which_service;      /* a page that lists the services says more */
};

/* The redirect URI of P against those of CLIENT. */
enum authorize_redirect {
  AUTHORIZE_REDIRECT_OK = 0,
  AUTHORIZE_REDIRECT_MISSING,
  AUTHORIZE_REDIRECT_FOREIGN, /* the client has not registered it */
  AUTHORIZE_REDIRECT_REFUSED, /* registered, but not acceptable (any more): *RET_WHY */
};
/* Sets T->redirect and T->registered. */
enum authorize_redirect authorize_redirect(const struct config *c,
                                           const struct oauth_client *client,
                                           const struct params *p, struct transaction *t,
                                           const char **ret_why);
/* What must hold whatever the service is: response_type, PKCE, what we do not do. */
struct authorize_error authorize_protocol(const struct params *p,
                                          const struct oauth_client *client);
/* The service that `resource` means, or the only one there is. */
struct authorize_error authorize_service(const struct config *c, const struct params *p,
                                         const struct config_service **ret);
/* Whether the blank-separated LIST has WORD. */
bool authorize_has_word(struct str list, const char *word);

/* The instances through which a person can log in at S, in the order of its stack; at most MAX. */
size_t authorize_providers(const struct config_service *s, const struct config_provider **ret,
                           size_t max);
enum { AUTHORIZE_PROVIDERS = 16 };
/* Its name for people. */
const char *authorize_provider_name(const struct config_provider *p);
const struct config_provider *authorize_find_provider(const struct config_service *s,
                                                      struct str name);

/* ---- consent_page.c, consent.c */

struct scope_choice {
  struct scope_set offered, refused; /* refused: asked for, and not to be had by this client */
  struct scope_set withheld;         /* nor by this person: of a known one only */
  bool known;                        /* OFFERED is what she may hold, as far as was known lately */
};

struct consent {
  const struct oauth_client *client;
  const struct config_service *service;
  const struct transaction *transaction;
  struct scope_choice scopes;
  bool another; /* somebody else has signed in than the one for whom consent was remembered */
  struct str as_another; /* where the same is asked whoever signs in, or .p NULL */
};
void consent_page(struct oauth_exchange *x, const struct consent *c);
/* The page is for WHO: what she may not hold moves from OFFERED to WITHHELD, and when that is all
 * of it she is offered what she may hold of login_scope; when that is nothing either, S stays as it
 * is and her provider is asked once more.  -1: out of memory. */
int consent_withhold(struct oauth_exchange *x, const struct consent *c, const struct principal *who,
                     struct scope_choice *s);
/* <ul> of the scopes, each with its words. */
void consent_scope_list(struct page *p, const struct scope_set *s);
/* Seals T as agreed to, sets its cookie and sends the browser to /consent/next. */
void consent_given(struct oauth_exchange *x, const struct transaction *t);
/* Path and query of /consent/next for T, and the cookie that it needs (NULL: none needed);
 * -1: too long, or out of memory. */
int consent_next(struct oauth_exchange *x, const struct transaction *t, struct str *ret_path,
                 const char **ret_cookie);

/* The members that all records of a login have. */
void authorize_record(struct buf *b, const struct transaction *t);
/* The form is expired or not ours. */
void authorize_stale(struct oauth_exchange *x);

#endif
