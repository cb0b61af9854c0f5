/* Answers of the authorization endpoint to the client: its redirect URI with a code or an error,
 * always with `iss` (RFC 6749 section 4.1.2, RFC 9207).  Only for a redirect URI that has been
 * judged (row 86). */
#ifndef OAUTH_ANSWER_H
#define OAUTH_ANSWER_H

#include "oauth/exchange.h"

struct answer {
  struct str redirect, state;      /* state .p NULL: the client sent none */
  struct str code;                 /* of a success */
  const char *error, *description; /* of an error; printable ASCII without quotes */
};

/* The URL; .p NULL when out of memory. */
struct str answer_url(const struct oauth *o, const struct answer *an, struct arena *a);
/* Sends the browser there: by a redirect, or by a page where the URI opens an application. */
void answer_send(struct oauth_exchange *x, const struct answer *an, const struct http_header *extra,
                 size_t n_extra);

#endif
