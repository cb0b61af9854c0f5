/* The lexer; see lexer.h. */
#include "config/lexer.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/limits.h"

/* ---- characters that no configuration file needs */

static const struct {
  unsigned from, to;
  const char *what;
} refused[] = {
    {0x00, 0x00, "a NUL byte"},
    {0x0d, 0x0d, "a carriage return: save the file with LF line ends"},
    {0x01, 0x08, "a control character"},
    {0x0b, 0x1f, "a control character"},
    {0x7f, 0x9f, "a control character"},
    {0xa0, 0xa0, "a no-break space: write a plain one"},
    {0x2000, 0x200f, "an invisible or unusual space"},
    {0x2028, 0x202f, "a character that changes lines or the direction of text"},
    {0x205f, 0x206f, "an invisible character"},
    {0x3000, 0x3000, "an ideographic space: write a plain one"},
    {0xfeff, 0xfeff, "a byte order mark"},
    {0xfff9, 0xfffb, "an invisible character"},
};

static const char *refusal(unsigned code)
{
  for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
    if (code >= refused[i].from && code <= refused[i].to)
      return refused[i].what;
  return NULL;
}

/* The character at P of at most N bytes; its length, or 0 when it is not UTF-8. */
static size_t decode(const char *p, size_t n, unsigned *ret)
{
  const unsigned char *u = (const unsigned char *)p;
  size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
  if (len > n || !str_utf8((struct str){p, len}))
    return 0;
  unsigned code = len == 1 ? u[0] : u[0] & (0xffu >> (len + 1));
  for (size_t i = 1; i < len; i++)
    code = code << 6 | (u[i] & 0x3f);
  *ret = code;
  return len;
}

static void step_over(struct config_at *at, unsigned code)
{
  if (code == '\n') {
    at->line++;
    at->column = 1;
  } else {
    at->column++;
  }
}

int lexer_init(struct lexer *l, const char *file, struct str text, struct arena *arena,
               struct config_at *ret_at, struct err *e)
{
  struct config_at at = {file, 1, 1};
  for (size_t i = 0, n; i < text.n; i += n) {
    unsigned code = 0;
    n = decode(text.p + i, text.n - i, &code);
    const char *why = n ? refusal(code) : "a byte that is not UTF-8";
    if (why) {
      *ret_at = at;
      return err_set(e, "the file contains %s", why);
    }
    step_over(&at, code);
  }
  *l = (struct lexer){text.p, text.p + text.n, {file, 1, 1}, arena, 0};
  return 0;
}

/* ---- tokens */

static bool at_end(const struct lexer *l)
{
  return l->p == l->end;
}

static char peek(const struct lexer *l, size_t ahead)
{
  return (size_t)(l->end - l->p) > ahead ? l->p[ahead] : 0;
}

/* Bytes after the first of a character do not count as columns. */
static void skip(struct lexer *l)
{
  unsigned char next = (unsigned char)*l->p++;
  if (next == '\n') {
    l->at.line++;
    l->at.column = 1;
  } else if ((next & 0xc0) != 0x80) {
    l->at.column++;
  }
}

static struct token bad(struct config_at at, struct err *e, const char *text)
{
  err_set(e, "%s", text);
  return (struct token){.type = TOKEN_BAD, .at = at};
}

/* Blanks, comments and continued lines; false at a stray backslash. */
static bool skip_blanks(struct lexer *l)
{
  for (; !at_end(l); skip(l)) {
    if (*l->p == '#')
      while (!at_end(l) && *l->p != '\n')
        skip(l);
    if (at_end(l))
      return true;
    if (*l->p == '\\') {
      if (peek(l, 1) != '\n')
        return false;
      skip(l);
    } else if (*l->p != ' ' && *l->p != '\t') {
      return true;
    }
  }
  return true;
}

static struct token word(struct lexer *l, struct config_at at, struct str text, struct err *e)
{
  if (text.n > LIMIT_WORD)
    return bad(at, e, "the word is longer than 4096 bytes");
  if (++l->words > LIMIT_CONFIG_WORDS)
    return bad(at, e, "the file has more than 100000 words");
  struct token t = {.type = TOKEN_WORD, .at = at, .text = arena_str(l->arena, text)};
  return t.text.p ? t : bad(at, e, "out of memory");
}

static bool delimits(char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '{' || c == '}';
}

static const char no_substitution[] =
    "'${' is not replaced by anything: a secret is written env:NAME, file:PATH or credential:NAME";

static struct token bare(struct lexer *l, struct err *e)
{
  struct config_at at = l->at;
  const char *from = l->p;
  for (; !at_end(l) && !delimits(*l->p); skip(l)) {
    if (*l->p == '$' && peek(l, 1) == '{')
      return bad(l->at, e, no_substitution);
    if (*l->p == '"')
      return bad(l->at, e, "a quote inside a word: put quotes around the whole word");
    if (*l->p == '#')
      return bad(l->at, e, "'#' inside a word: quote the word, or put a space before a comment");
    if (*l->p == '\\')
      return bad(l->at, e, "'\\' may stand only at the end of a line, after a space, or in quotes");
  }
  return word(l, at, (struct str){from, (size_t)(l->p - from)}, e);
}

static const char unterminated[] = "the quote is not closed on its line";

/* The bytes between the quotes, with \" and \\ undone, in OUT; an error token or TOKEN_WORD. */
static struct token quoted_bytes(struct lexer *l, struct buf *out, struct err *e)
{
  struct config_at at = l->at;
  for (skip(l);; skip(l)) {
    if (at_end(l) || *l->p == '\n')
      return bad(at, e, unterminated);
    if (*l->p == '"')
      return (struct token){.type = TOKEN_WORD, .at = at};
    if (*l->p == '$' && peek(l, 1) == '{')
      return bad(l->at, e, no_substitution);
    if (*l->p == '\\') {
      if (peek(l, 1) != '"' && peek(l, 1) != '\\')
        return bad(l->at, e, "in quotes, '\\' stands only before '\"' or '\\'");
      skip(l);
    }
    if (buf_putc(out, *l->p) < 0)
      return bad(at, e, "the word is longer than 4096 bytes");
  }
}

static struct token quoted(struct lexer *l, struct err *e)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, LIMIT_WORD);
  struct token t = quoted_bytes(l, &text, e);
  if (t.type == TOKEN_BAD)
    return t;
  skip(l); /* the closing quote */
  if (!at_end(l) && !delimits(*l->p))
    return bad(l->at, e, "a word begins right behind a quote: put a space between them");
  return word(l, t.at, buf_view(&text), e);
}

static struct token single(struct lexer *l, enum token_type type)
{
  struct token t = {.type = type, .at = l->at};
  skip(l);
  return t;
}

struct token lexer_next(struct lexer *l, struct err *e)
{
  if (!skip_blanks(l))
    return bad(l->at, e, "'\\' must be the last character of its line");
  if (at_end(l))
    return (struct token){.type = TOKEN_EOF, .at = l->at};
  switch (*l->p) {
  case '{':
    return single(l, TOKEN_OPEN);
  case '}':
    return single(l, TOKEN_CLOSE);
  case ';':
  case '\n':
    return single(l, TOKEN_END);
  case '"':
    return quoted(l, e);
  default:
    return bare(l, e);
  }
}
