/* Header fields: what a name and a value may be (RFC 9110 section 5), and finding one.  Pure. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "http/server.h"

/* One or more token characters. */
bool header_token(struct str name);
/* No control bytes but the tab: no CR, LF or NUL can split what we send (D9). */
bool header_value(struct str value);
/* host [":" port] without user information, percent-encoding or anything else (row 49). */
bool header_authority(struct str host);

#endif
