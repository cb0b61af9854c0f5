/* Admission: the strict reading of a request head (design 8.1, rows 26, 36-41, 47, 52, 54, 159).
 * What libmicrohttpd lets pass and a second parser could read otherwise is refused here, before
 * anything is routed.  Pure, over the collected facts. */
#ifndef HTTP_ADMISSION_H
#define HTTP_ADMISSION_H

#include "http/server.h"

struct admission {
  /* in: as received; the values still carry the blanks around them */
  struct str method, target, version;
  struct http_header *headers;
  size_t n_headers;
  /* out, when admitted: HEADERS in place, values trimmed, fields that we never look at removed */
  int64_t content_length; /* -1: chunked; 0: no body */
  bool http10;            /* close after the answer */
  bool expects_continue;
  unsigned dropped; /* fields whose name has an underscore */
};

/* 0, or the status to refuse with and one sentence in *RET_WHY (static). */
int admission_check(struct admission *a, const char **ret_why);

#endif
