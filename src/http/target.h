/* The raw request target against a strict grammar (row 48): origin form only, path =
 * "/" | ("/" segment)+ ["/"], segment = [A-Za-z0-9._~-]+ but not "." or "..", no percent-encoding;
 * query = any visible ASCII without '#'.  Nothing is decoded, nothing is normalised: what routes is
 * what was sent. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "util/str.h"

struct target {
  struct str path;
  struct str query; /* .p NULL when there is no '?' */
};

enum target_error {
  TARGET_OK = 0,
  TARGET_TOO_LONG,
  TARGET_NOT_ORIGIN_FORM,
  TARGET_BAD_PATH,
  TARGET_BAD_QUERY
};

enum target_error target_parse(struct str raw, struct target *ret);

#endif
