/* Blocks described by tables: the host's own (hub, service, scope, stack, listen, provider) and
 * those that providers bring.  One engine checks names, repetition, types and ranges, fills
 * structs, applies defaults, and writes the block into the effective configuration. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <mcpauth/provider.h>

#include "config/tree.h"

struct binder;

/* Reads a statement that has a form of its own.  It reports what is wrong itself. */
typedef void option_custom_fn(struct binder *b, const struct statement *s, void *target);

/* The type of a row with a custom function: MCPAUTH_REPEAT, REQUIRED and the texts are the row's;
 * .fallback is the statement's words behind its name. */
#define OPTION_CUSTOM ((enum mcpauth_option_type)100)

struct option_spec {
  struct mcpauth_option o;
  option_custom_fn *custom;
  bool block; /* the statement may open a block; custom then writes it into the effective text */
};

/* Rows of the host's tables: a statement with a form of its own, one that may open a block, and one
 * that the engine reads.  What follows HELP are members of struct mcpauth_option. */
#define STATEMENT(NAME, FUNCTION, META, HELP, ...)                                                 \
  {                                                                                                \
    .o = {.name = NAME,                                                                            \
          .type = OPTION_CUSTOM,                                                                   \
          .metavar = META,                                                                         \
          .help = HELP,                                                                            \
          .since = "0.1",                                                                          \
          __VA_ARGS__},                                                                            \
    .custom = FUNCTION                                                                             \
  }
#define BLOCK(NAME, FUNCTION, META, HELP, ...)                                                     \
  {                                                                                                \
    .o = {.name = NAME,                                                                            \
          .type = OPTION_CUSTOM,                                                                   \
          .metavar = META,                                                                         \
          .help = HELP,                                                                            \
          .since = "0.1",                                                                          \
          __VA_ARGS__},                                                                            \
    .custom = FUNCTION, .block = true                                                              \
  }
#define OPTION(NAME, TYPE, META, HELP, ...)                                                        \
  {                                                                                                \
    .o = {.name = NAME, .type = TYPE, .metavar = META, .help = HELP, .since = "0.1", __VA_ARGS__ } \
  }

/* Rows and the struct that their offsets are in. */
struct option_table {
  const struct option_spec *v;
  size_t n;
  void *target;
};

/* Binds the block of OWNER by the rows of TABLES, in the order of the rows, not of
 * the statements. */
void options_bind(struct binder *b, const struct statement *owner,
                  const struct option_table *tables, size_t n_tables);
/* "; it belongs in a 'hub' block" of a WORD that another block has, or "". */
const char *options_home(struct binder *b, struct str word);
/* A provider's table as rows, in ARENA; NULL when out of memory. */
const struct option_spec *options_wrap(struct arena *arena, const struct mcpauth_option *options,
                                       size_t *ret_n);
/* Writes `words {`, and later `}`, into the effective text. */
void options_open(struct binder *b, const struct statement *s);
void options_close(struct binder *b);
/* Writes S as one line. */
void options_line(struct binder *b, const struct statement *s);
/* Writes S with its block. */
void options_tree(struct binder *b, const struct statement *s);

#endif
