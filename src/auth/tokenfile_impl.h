/* What tokenfile.c and tokenfile_save.c share. */
#ifndef AUTH_TOKENFILE_IMPL_H
#define AUTH_TOKENFILE_IMPL_H

#include "auth/tokenfile.h"

struct tokenline {
  char *text; /* N bytes */
  size_t n;
  json_t *token; /* NULL: a comment, an empty line */
};

struct tokenfile {
  struct tokenline *v;
  size_t n, cap;
  char *path; /* resolved */
  int fd;     /* locked; -1 when not for change */
  struct stat st;
};

#endif
