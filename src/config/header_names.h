/* Names of header fields and query parameters that a configuration may use, and where.  Pure. */
#ifndef CONFIG_HEADER_NAMES_H
#define CONFIG_HEADER_NAMES_H

#include "util/err.h"
#include "util/str.h"

enum header_use {
  HEADER_CREDENTIAL = 1, /* accept header NAME */
  HEADER_INJECT,         /* upstream_auth header NAME */
  HEADER_FORWARD,        /* forward_header NAME: of the request, to the upstream */
  HEADER_RETURN,         /* return_header NAME: of the reply, to the client */
};

int header_name_check(struct str name, enum header_use use, struct err *e);
/* [A-Za-z0-9._~-]+, at most 64. */
int query_name_check(struct str name, struct err *e);

#endif
