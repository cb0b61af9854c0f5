/* What the authorization server says about itself (RFC 8414, OpenID Connect Discovery): made once a
 * worker from the configuration alone.  It lists what works, and nothing else (row 114). */
#ifndef OAUTH_METADATA_H
#define OAUTH_METADATA_H

#include "oauth/exchange.h"

/* The documents of O into O->metadata and O->openid_metadata; -1 with E. */
int metadata_init(struct oauth *o, struct err *e);

#endif
