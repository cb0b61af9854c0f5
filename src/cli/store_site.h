/* The store and the key ring of a state directory, for subcommands that look into them or change
 * them, beside a running daemon or without one. */
#ifndef CLI_STORE_SITE_H
#define CLI_STORE_SITE_H

#include "cli/cli.h"
#include "cli/site.h"
#include "store/store.h"
#include "util/buf.h"

struct store_site {
  const struct cli *cli;
  const char *command; /* "grants list", for messages */
  struct site site;    /* only when the configuration had to say where */
  const char *state_dir;
  struct keyring *keys;
  struct store *store; /* NULL: nothing was ever kept here */
};

/* The key ring and, where there is one and STORE, the store.  -1 after a message. */
int store_site_open(const struct cli *cli, const char *command, bool store, struct store_site *ret);
void store_site_done(struct store_site *s);
/* "mcpauth COMMAND: TEXT" to standard error; CLI_FAILED. */
int store_site_fail(const struct store_site *s, const struct err *e);
/* WORK at once; -1 after a message. */
int store_site_run(const struct store_site *s, enum store_mode mode, store_work_fn *work,
                   void *arg);
/* G was ended.  Has the running daemon forget what it knows of this person, so that the next
 * request asks the store, and streams end, and record it.  0 also when no daemon runs; -1 after a
 * message.
 */
int store_site_tell(const struct store_site *s, const struct store_grant *g);

/* Grants that were found, copied into ARENA. */
struct grant_list {
  struct arena *arena;
  struct store_grant *v;
  size_t n, room;
  bool no_memory;
};

/* Adds those that FILTER lets through; -1 when the store or the memory fails. */
int grant_list_find(struct grant_list *l, struct store_db *db,
                    const struct store_grant_filter *filter);
/* store_site_tell of each: CLI_OK or CLI_FAILED. */
int grant_list_tell(const struct grant_list *l, const struct store_site *s);

/* ---- output: what strangers named is shown, never obeyed by the terminal */

/* "2026-11-21T04:08:29Z", or "-" for 0. */
const char *show_time(int64_t seconds, char out[32]);
/* S in A with every control and odd byte escaped. */
const char *show_text(struct str s, struct arena *a);
json_t *json_of(struct str s); /* a new reference; bytes that are not UTF-8 escaped */
json_t *json_of_time(int64_t seconds);
/* Prints and releases; an exit status. */
int show_json(json_t *j);

#endif
