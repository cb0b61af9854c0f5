/* application/x-www-form-urlencoded as a token endpoint answers in it (GitHub does, to those who do
 * not ask for JSON).  Strict: a percent sign needs two hex digits, names are not empty and stand
 * once, values are UTF-8 without NUL.  Called by host_oauth.c.  Pure. */
#ifndef AUTH_FORM_H
#define AUTH_FORM_H

#include <jansson.h>

#include "util/str.h"

/* An object of strings, a new reference; NULL when BODY is malformed, a name is longer than 127
 * bytes or a value than LIMIT_LOGIN_TOKEN, or memory is short. */
json_t *form_parse(struct str body);

#endif
