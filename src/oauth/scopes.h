/* Which scopes a token may have: requested ∩ the service's ∩ the client's ∩ what the person is
 * entitled to (design section 5; row 117).  Unknown ones are dropped; when none is left, or none
 * was sent, it is the service's login_scope.  Pure; used by the consent page and /token alike. */
#ifndef OAUTH_SCOPES_H
#define OAUTH_SCOPES_H

#include "auth/principal.h"
#include "oauth/client.h"

/* Sorted by name, without duplicates. */
struct scope_set {
  const struct config_scope **v;
  size_t n;
};

/* Whether every request to S needs SCOPE: it is no choice on the consent page. */
bool scopes_required(const struct config_service *s, const struct config_scope *scope);

/* All functions return -1 when memory is short; results lie in the arena. */

/* REQUESTED: scope tokens with spaces between, as the client sent them; .p NULL: none.  CLIENT may
 * be NULL: no bound. */
int scopes_asked(const struct config *c, const struct config_service *s,
                 const struct config_words *client_bound, struct str requested, struct arena *a,
                 struct scope_set *ret);
/* Those of SET that WHO, from ADDRESS, may hold; the others go to *RET_NOT, which may be NULL. */
int scopes_entitled(const struct config *c, const struct principal *who, const char *address,
                    const struct scope_set *set, struct arena *a, struct scope_set *ret,
                    struct scope_set *ret_not);
/* Both: what WHO gets of what was asked for; of login_scope, when that is nothing. */
int scopes_granted(const struct config *c, const struct config_service *s,
                   const struct config_words *client_bound, struct str requested,
                   const struct principal *who, const char *address, struct arena *a,
                   struct scope_set *ret);
/* Whether one of SET is not for everybody. */
bool scopes_bound(const struct scope_set *set);
/* Names of declared scopes with spaces between; names that are declared no longer are dropped. */
int scopes_parse(const struct config *c, struct str text, struct arena *a, struct scope_set *ret);
/* Of A those that B has, too. */
int scopes_both(const struct scope_set *x, const struct scope_set *y, struct arena *a,
                struct scope_set *ret);
/* Takes out of SET what is beyond CLIENT_BOUND; an empty one is none. */
void scopes_limit(struct scope_set *set, const struct config_words *client_bound);
/* Sorted names, one space between; .p NULL when memory is short. */
struct str scopes_text(const struct scope_set *s, struct arena *a);

#endif
