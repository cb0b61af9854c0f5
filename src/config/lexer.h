/* From bytes to words.  The grammar is small on purpose: words, "quoted words", `;` and the end of
 * the line, braces, `#` comments where a word could begin, and `\` at the very end of a line.
 * Everything doubtful is an error (rows 140, 141): control bytes, CRLF, byte order marks, bytes
 * that are not UTF-8, characters that look like something else, `${`.  Pure. */
#ifndef CONFIG_LEXER_H
#define CONFIG_LEXER_H

#include "config/config.h"

enum token_type {
  TOKEN_WORD = 1,
  TOKEN_OPEN,  /* { */
  TOKEN_CLOSE, /* } */
  TOKEN_END,   /* end of a statement: `;` or the end of the line */
  TOKEN_EOF,
  TOKEN_BAD, /* the error is set */
};

struct token {
  enum token_type type;
  struct config_at at;
  struct str text; /* of a word, in the arena; NUL-terminated */
};

struct lexer {
  const char *p, *end;
  struct config_at at; /* of the next byte; columns count characters */
  struct arena *arena;
  size_t words;
};

/* TEXT must outlive the lexer; -1 with *RET_AT and E when its bytes are not those of a
 * configuration file. */
int lexer_init(struct lexer *l, const char *file, struct str text, struct arena *arena,
               struct config_at *ret_at, struct err *e);
/* After TOKEN_BAD, `token.at` is the position of the error. */
struct token lexer_next(struct lexer *l, struct err *e);

#endif
