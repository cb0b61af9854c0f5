/* Absolute http and https URLs as they stand in configuration and metadata (RFC 3986, the part
 * that we accept): no user information, no fragment, host in lower case.  Pure. */
#ifndef UTIL_URL_H
#define UTIL_URL_H

#include "util/err.h"
#include "util/str.h"

struct url {
  bool https;
  struct str host;      /* without brackets; lower case is required */
  struct str authority; /* host[:port] as written */
  uint16_t port;        /* the scheme's own when none is written */
  bool port_written;
  struct str path;  /* begins with '/' or is empty */
  struct str query; /* without '?'; .p NULL when there is none */
};

/* Parts point into TEXT. */
int url_parse(struct str text, struct url *ret, struct err *e);
/* 127.0.0.0/8, ::1, localhost. */
bool url_loopback(const struct url *u);

#endif
