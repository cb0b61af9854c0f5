/* Strict JSON tokens (RFC 8259) in bytes that are all there: what the gate, the pointers of rules
 * and the list filter stand on.  Steps over values without building anything; the state is a few
 * words.  Strings are walked eight bytes at a time and their UTF-8 (RFC 3629) and escapes are
 * checked: no lone surrogates, no control characters.  Pure. */
#ifndef MCP_SCAN_H
#define MCP_SCAN_H

#include "util/str.h"

struct scan {
  const char *p, *end;
  unsigned values;  /* how many more may be read */
  bool limited;     /* it failed for its depth or number of values, not for its syntax */
  const char *what; /* why it failed: one sentence, static */
};

/* A string as it stands, without its quotes. */
struct scan_text {
  struct str raw;
  bool escaped; /* it has a backslash */
};

void scan_init(struct scan *s, struct str bytes);
/* All of these return -1 with s->what set, and s->p at the place. */
int scan_fail(struct scan *s, const char *what);
/* Skips blanks; the next byte, or -1 at the end. */
int scan_peek(struct scan *s);
/* One value that is a string, with blanks before it. */
int scan_string(struct scan *s, struct scan_text *ret);
/* One value whatever it is, with blanks before it; DEPTH containers stand around it. */
int scan_value(struct scan *s, unsigned depth);
/* Opens the container at s->p; -1 when it stands too deep. */
int scan_open(struct scan *s, unsigned depth);
/* Inside a container that CLOSE ends, behind its opening or behind a value of it: 1: a member or an
 * element follows, 0: it is closed.  *FIRST is true before the first. */
int scan_more(struct scan *s, char close, bool *first);
/* A member's name and its colon. */
int scan_name(struct scan *s, struct scan_text *ret);
/* Behind the last value: nothing but blanks. */
int scan_end(struct scan *s);

/* The next character of a string that scan_string accepted, decoded to UTF-8; 0 bytes at its end.
 * *PLAIN is set to false when it was written with an escape other than \/ . */
size_t scan_char(struct str *raw, char out[4], bool *plain);
/* The beginning of RAW decoded to OUT (SCAN_NAME_MAX bytes, more than any name of the protocol);
 * *WHOLE: all of it.  With FOLD the two letters outside ASCII that fold to ASCII (U+017F, U+212A)
 * are folded and others end it, for no name of ours has them; ASCII case is left to str_ieq. */
enum { SCAN_NAME_MAX = 48 };
size_t scan_decode(struct str raw, bool fold, char *out, bool *plain, bool *whole);
/* The first byte from P on that is a quote, a backslash or a control character. */
const char *scan_text_end(const char *p, const char *end);

#endif
