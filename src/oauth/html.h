/* Text of strangers in HTML (row 98): escaped for element content and quoted attributes alike, and
 * cleaned of what makes text look like something that it is not.  Pure. */
#ifndef OAUTH_HTML_H
#define OAUTH_HTML_H

#include "util/buf.h"

enum { HTML_NAME_MAX = 80 }; /* characters of a name on a page */

/* S with & < > " ' and what is no printable UTF-8 replaced: safe between tags and inside of double
 * quotes. */
int html_text(struct buf *b, struct str s);
/* A name that a stranger chose: control, direction and invisible characters are taken out, runs of
 * blanks become one, and it is cut after HTML_NAME_MAX characters.  Not escaped yet. */
int html_name(struct buf *b, struct str s);

#endif
