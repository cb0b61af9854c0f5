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

/* 0, or -1 with E: whether we send this field.  Those that say where a message goes, how long it is
 * or what one hop does are the transport's alone (row 44). */
int header_sendable(const struct http_header *h, struct err *e);
/* The same for a method: capital letters, and none that changes how the reply is read. */
int header_method_sendable(struct str method, struct err *e);

#endif
