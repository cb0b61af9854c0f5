/* Redirect URIs of OAuth clients (RFC 6749 section 3.1.2, RFC 8252, OAuth 2.1): which may be one at
 * all, and whether the one that a request names is the one that the client has.  Where a code is
 * sent is decided by these functions and nothing else (rows 84, 85, 88).  Pure; called by
 * src/config for what the administrator writes and by src/oauth for what strangers send. */
#ifndef UTIL_REDIRECT_H
#define UTIL_REDIRECT_H

#include "util/url.h"

enum redirect_error {
  REDIRECT_OK = 0,
  REDIRECT_SYNTAX, /* no absolute URI of ASCII, or too long; user information, dot segments */
  REDIRECT_FRAGMENT,
  REDIRECT_SCHEME,      /* javascript: and its like */
  REDIRECT_HTTP,        /* http, and not localhost, 127.0.0.1 or [::1] */
  REDIRECT_PRIVATE,     /* a private-use scheme of a client that has a secret */
  REDIRECT_OWN,         /* it leads to the hub itself */
  REDIRECT_NOT_ALLOWED, /* redirect_allow of the administrator has nothing like it */
};

/* One sentence for whoever registers the client. */
const char *redirect_error_text(enum redirect_error e);

enum redirect_kind { REDIRECT_KIND_HTTPS = 1, REDIRECT_KIND_LOOPBACK, REDIRECT_KIND_PRIVATE };

/* A redirect URI taken apart; the parts point into it. */
struct redirect {
  enum redirect_kind kind;
  struct str scheme;
  struct url url;   /* of HTTPS and LOOPBACK */
  struct str place; /* where it leads, for people: the authority, or "SCHEME:" */
};

/* What is acceptable at this hub. */
struct redirect_policy {
  const struct url *own;    /* public_url; NULL: none */
  const char *const *allow; /* redirect_allow patterns */
  size_t n_allow;           /* 0: no such list */
};

/* PUBLIC_CLIENT: it has no secret, PKCE protects its codes. */
enum redirect_error redirect_parse(struct str uri, bool public_client, struct redirect *ret);
/* The same, and neither our own nor outside of the administrator's list. */
enum redirect_error redirect_acceptable(const struct redirect_policy *p, struct str uri,
                                        bool public_client, struct redirect *ret);
/* Whether URI is the REGISTERED one: byte for byte; of http on localhost, 127.0.0.1 and [::1] in
 * the same spelling any port (RFC 8252 section 7.3). */
bool redirect_matches(struct str registered, struct str uri);
/* A pattern is a redirect URI whose last path segment may have one '*': any bytes but '/' and '?'.
 * -1 with E when it is none. */
int redirect_pattern(struct str pattern, struct err *e);

#endif
