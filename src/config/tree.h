/* From words to statements and blocks, with their positions.  Knows no statement by name. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "config/config.h"
#include "util/buf.h"

enum { TREE_DEPTH_MOST = 6 };

struct word {
  struct str text; /* NUL-terminated */
  struct config_at at;
};

struct block;

struct statement {
  const struct word *words; /* the first is its name */
  size_t n;
  const struct block *block; /* NULL: none */
  struct statement *next;
};

struct block {
  struct statement *first;
  struct config_at end; /* of the closing brace */
};

/* Appends the statements of one file to *TAIL (which then points at the last .next).  Everything is
 * put in ARENA.  -1 with *RET_AT and E at the first error. */
int tree_parse(const char *file, struct str text, struct arena *arena, struct statement ***tail,
               struct config_at *ret_at, struct err *e);
/* Position of the statement: that of its first word. */
struct config_at statement_at(const struct statement *s);
/* Appends WORD as it must be written: in quotes when it would not be one word without. */
void word_format(struct buf *out, struct str word);

#endif
