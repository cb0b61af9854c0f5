/* The one way an error gets its words: filled where the error is born, prefixed by callers that
 * know more, shown or logged once at the top. */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

enum { ERR_TEXT_MAX = 640 };

struct err {
  char text[ERR_TEXT_MAX]; /* empty until an error was set; cut at the maximum, never overrun */
};

/* Both return -1, so that a function may `return err_set (...)`.  E may be NULL. */
int err_set(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "FORMAT: " before what is there. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
