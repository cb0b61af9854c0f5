/* What the files of `mcpauth token` share. */
#ifndef CLI_TOKEN_H
#define CLI_TOKEN_H

#include "auth/tokenfile.h"
#include "cli/cli.h"

/* Where the tokens are, and whose they are. */
struct token_site {
  char *file;
  char *instance;  /* the provider block; NULL when only --file was given */
  char *state_dir; /* of the use counts; NULL with INSTANCE */
};

/* What stands on the command line after the action. */
struct token_args {
  const struct cli *cli;
  const char *action;
  const char *file, *provider; /* --file, --provider */
  const char *id;              /* the one word that is no option */
  const char *subject, *expires, *note, *overlap;
  const char *scopes[64], *claims[64];
  size_t n_scopes, n_claims;
  bool json;
};

/* --file as it is, or the file of --provider, or of the only static-token provider in the
 * configuration. */
int token_site_find(const struct token_args *a, struct token_site *ret, struct err *e);
void token_site_done(struct token_site *s);

/* "mcpauth token ACTION: TEXT"; CLI_FAILED. */
int token_fail(const struct token_args *a, const struct err *e);

/* The actions; all return the exit status. */
int token_create(const struct token_args *a);
int token_rotate(const struct token_args *a);
int token_revoke(const struct token_args *a);
int token_enable(const struct token_args *a); /* and disable */
int token_list(const struct token_args *a);
int token_show(const struct token_args *a);
int token_verify(const struct token_args *a);

#endif
