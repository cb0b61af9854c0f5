/* The statement parser; see tree.h. */
#include "config/tree.h"

#include <string.h>

#include "config/lexer.h"
#include "util/cleanup.h"

enum { WORDS_MOST = 1024 }; /* of one statement */

struct parser {
  struct lexer lexer;
  struct arena *arena;
  struct err *e;
  struct config_at *bad_at;
  struct word words[WORDS_MOST];
};

struct config_at statement_at(const struct statement *s)
{
  return s->words[0].at;
}

static int fail(struct parser *p, struct config_at at, const char *text)
{
  *p->bad_at = at;
  return err_set(p->e, "%s", text);
}

static struct token next(struct parser *p)
{
  struct token t = lexer_next(&p->lexer, p->e);
  if (t.type == TOKEN_BAD)
    *p->bad_at = t.at;
  return t;
}

/* The first N words as a statement in the arena. */
static struct statement *keep(struct parser *p, size_t n)
{
  struct statement *s = arena_new_of(p->arena, struct statement);
  struct word *words = arena_array(p->arena, n, sizeof *words);
  if (s == NULL || words == NULL) {
    fail(p, p->words[0].at, "out of memory");
    return NULL;
  }
  memcpy(words, p->words, n * sizeof *words);
  s->words = words;
  s->n = n;
  return s;
}

/* The words from *T on; *T becomes the token behind them. */
static struct statement *parse_words(struct parser *p, struct token *t)
{
  size_t n = 0;
  for (; t->type == TOKEN_WORD; *t = next(p)) {
    if (n == WORDS_MOST) {
      fail(p, t->at, "the statement has more than 1024 words");
      return NULL;
    }
    p->words[n++] = (struct word){t->text, t->at};
  }
  return t->type == TOKEN_BAD ? NULL : keep(p, n);
}

static int parse_list(struct parser *p, struct statement ***tail, unsigned depth,
                      struct token *ret_end);

/* Behind the `{` at AT. */
static int parse_block(struct parser *p, struct statement *owner, struct config_at at,
                       unsigned depth)
{
  struct block *block = arena_new_of(p->arena, struct block);
  if (block == NULL)
    return fail(p, at, "out of memory");
  if (depth > TREE_DEPTH_MOST)
    return fail(p, at, "blocks are nested too deeply");
  struct statement **tail = &block->first;
  struct token end;
  if (parse_list(p, &tail, depth, &end) < 0)
    return -1;
  if (end.type == TOKEN_EOF)
    return fail(p, at, "the '{' has no '}'");
  block->end = end.at;
  owner->block = block;
  return 0;
}

/* The statement that begins with *T; *T becomes the first token that is not part of it. */
static int parse_statement(struct parser *p, struct statement ***tail, unsigned depth,
                           struct token *t)
{
  struct statement *s = parse_words(p, t);
  if (s == NULL)
    return -1;
  if (t->type == TOKEN_OPEN) {
    if (parse_block(p, s, t->at, depth + 1) < 0)
      return -1;
    *t = next(p);
  }
  **tail = s;
  *tail = &s->next;
  return 0;
}

/* Up to `}` or the end of the file. */
static int parse_list(struct parser *p, struct statement ***tail, unsigned depth,
                      struct token *ret_end)
{
  struct token t = next(p);
  for (;;)
    switch (t.type) {
    case TOKEN_WORD:
      if (parse_statement(p, tail, depth, &t) < 0)
        return -1;
      break;
    case TOKEN_END:
      t = next(p);
      break;
    case TOKEN_OPEN:
      return fail(p, t.at, "'{' belongs on the line of the statement whose block it opens");
    case TOKEN_CLOSE:
    case TOKEN_EOF:
      *ret_end = t;
      return 0;
    case TOKEN_BAD:
      return -1;
    }
}

int tree_parse(const char *file, struct str text, struct arena *arena, struct statement ***tail,
               struct config_at *ret_at, struct err *e)
{
  AUTO_FREE struct parser *p = malloc(sizeof *p);
  struct token end;
  *ret_at = (struct config_at){file, 1, 1};
  if (p == NULL)
    return err_set(e, "out of memory");
  *p = (struct parser){.arena = arena, .e = e, .bad_at = ret_at};
  if (lexer_init(&p->lexer, file, text, arena, ret_at, e) < 0 || parse_list(p, tail, 0, &end) < 0)
    return -1;
  if (end.type == TOKEN_CLOSE)
    return fail(p, end.at, "this '}' closes nothing");
  return 0;
}

void word_format(struct buf *out, struct str word)
{
  bool plain = word.n > 0;
  for (size_t i = 0; i < word.n; i++)
    if (strchr(" \t;{}#\"\\", word.p[i]))
      plain = false;
  if (plain) {
    buf_str(out, word);
    return;
  }
  buf_putc(out, '"');
  for (size_t i = 0; i < word.n; i++) {
    if (word.p[i] == '"' || word.p[i] == '\\')
      buf_putc(out, '\\');
    buf_putc(out, word.p[i]);
  }
  buf_putc(out, '"');
}
