/* A login on its way through the browser: what was asked, sealed with the key ring, in three forms
 * that do not open as each other (design section 10).
 *
 *   form    on the consent page: what somebody may agree to.  15 min.
 *   state   what has been agreed to; travels through the identity provider as `state`.  10 min.
 *   cookie  set with the consent: says which state this browser has agreed to.  `state` without it
 *           is nobody's (rows 94, 100).
 *
 * A state is used once: its mark is in the store.  Towards the provider PKCE and nonce are derived
 * from the transaction's id, which nobody but the hub can read. */
#ifndef OAUTH_TRANSACTION_H
#define OAUTH_TRANSACTION_H

#include "oauth/exchange.h"

enum {
  TRANSACTION_ID = 32, /* bytes */
  TRANSACTION_FORM_S = 900,
  TRANSACTION_STATE_S = 600,
  TRANSACTION_DERIVED = 44, /* characters of what is derived, and a NUL */
  TRANSACTION_COOKIE = 512, /* characters of Set-Cookie, and a NUL */
};

/* The members are bytes of the arena that they were opened in. */
struct transaction {
  struct str id;
  int64_t expires_at;
  struct str client;          /* client_id */
  struct str digest;          /* of the client, 32 bytes: it must not have become another */
  struct str redirect;        /* byte for byte as it was asked with */
  struct str registered;      /* the registered redirect URI that it matched */
  struct str state;           /* the client's; .p NULL when it sent none */
  struct str challenge;       /* S256 */
  struct str resource;        /* as it was asked with; .p NULL when it was not */
  struct str service;         /* name */
  struct str scopes;          /* sorted, one space between: asked for (form), agreed to (state) */
  struct str refused;         /* asked for and not offered; of forms */
  struct str provider;        /* instance; of states */
  struct str hint;            /* login_hint, or .p NULL */
  struct str issuer, subject; /* consent was remembered for this person and nobody else; or "" */
  bool remember;              /* consent is to be remembered in this browser */
  bool denied;                /* the person has said no */
  bool again;                 /* the person must show who she is, whatever session she has */
};

enum transaction_kind { TRANSACTION_FORM = 1, TRANSACTION_STATE };

/* A new id in ARENA; -1 when there are no random numbers. */
int transaction_id(struct arena *a, struct str *ret);
/* Appends T in base64url, valid from now on for the time of its kind. */
int transaction_seal(const struct oauth *o, enum transaction_kind kind, const struct transaction *t,
                     struct buf *out, struct err *e);
/* How many characters a state of T will have. */
size_t transaction_size(const struct transaction *t);
enum transaction_status { TRANSACTION_GOOD = 0, TRANSACTION_BAD, TRANSACTION_EXPIRED };
enum transaction_status transaction_open(const struct oauth *o, enum transaction_kind kind,
                                         struct str text, struct arena *a, struct transaction *ret);

/* What the provider sees of the transaction; the challenge belongs to the verifier (RFC 7636). */
void transaction_nonce(const struct transaction *t, char out[TRANSACTION_DERIVED]);
void transaction_verifier(const struct transaction *t, char out[TRANSACTION_DERIVED]);
void transaction_challenge(const struct transaction *t, char out[TRANSACTION_DERIVED]);

/* The value of Set-Cookie; NULL when out of memory. */
const char *transaction_cookie(const struct oauth *o, const struct transaction *t, struct arena *a);
/* That takes it out again. */
const char *transaction_uncookie(const struct oauth *o, const struct transaction *t,
                                 struct arena *a);
/* Whether this browser has the transaction's cookie. */
bool transaction_has_cookie(const struct oauth_exchange *x, const struct transaction *t);

/* Who signed in last in this browser, sealed: for the consent page, which does not offer her what
 * she may not have, and, when REMEMBERED, for consents that need not be asked for again.  It logs
 * nobody in.  Not remembered, it ends with the browser's session. */
struct person {
  struct str issuer, subject, provider;
  bool remembered;
};
const char *person_cookie(const struct oauth *o, const struct person *p, struct arena *a);
bool person_read(const struct oauth_exchange *x, struct arena *a, struct person *ret);

#endif
