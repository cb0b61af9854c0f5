/* mcpauth provider test: the conformance checklist for any provider.  conform.c has the command and
 * the rules, conform_file.c looks at the file without running it, conform_world.c runs the provider
 * in a child process behind the real host, conform_idp.c plays the identity provider, and
 * conform_script.c reads what is peculiar to one provider. */
#ifndef CLI_CONFORM_H
#define CLI_CONFORM_H

#include <mcpauth/provider.h>

#include "util/arena.h"
#include "util/buf.h"
#include "util/err.h"

/* What a lookup meets.  The credential, the address and the identity provider's reply go by it. */
enum scene {
  SCENE_VALID,
  SCENE_EXPIRED,
  SCENE_AUDIENCE, /* issued for another service */
  SCENE_ISSUER,   /* by somebody else */
  SCENE_GARBAGE,
  SCENE_ERROR,     /* the identity provider answers 500 */
  SCENE_LIMITED,   /* 429 */
  SCENE_MALFORMED, /* 200, and not what was agreed */
  SCENE_OVERSIZED,
  SCENE_SLOW,
  SCENE_TIMEOUT, /* it never answers */
  SCENES
};
const char *scene_name(enum scene s);

enum { IDPS = 2, SCRIPT_OPTIONS = 64, SCRIPT_FILES = 16 };

/* ---- conform_script.c */

/* From a file of lines: `option NAME VALUE ...`, `file NAME TEXT`, `credential SCENE TEXT`,
 * `address SCENE ADDRESS`, `reply SCENE STATUS TEXT`, `expect SCENE RESULT ...`, `skip RULE WHY`.
 * In TEXT and VALUE, {idp}, {idp_host}, {dir}, {resource}, {now}, {soon}, {past}, {jwt} and
 * {secret} are filled in. */
struct script {
  const char *options[SCRIPT_OPTIONS]; /* "NAME VALUE ..." */
  size_t n_options;
  const char *files[SCRIPT_FILES], *contents[SCRIPT_FILES];
  size_t n_files;
  const char *credential[SCENES], *address[SCENES], *reply[SCENES], *expect[SCENES];
  int status[SCENES];
  const char *skip[SCRIPT_OPTIONS], *skip_why[SCRIPT_OPTIONS];
  size_t n_skip;
  const char *path[SCRIPT_FILES], *at[SCRIPT_FILES]; /* what is said at one path */
  size_t n_paths;
  bool login; /* codes are presented, not credentials */
};
/* PATH may be NULL: an empty script. */
int script_read(const char *path, struct arena *a, struct script *ret, struct err *e);
const char *script_skips(const struct script *s, const char *rule); /* why, or NULL */

/* ---- conform_file.c: each returns 0, or -1 with E */

int file_exports(const char *path, struct err *e);
int file_imports(const char *path, struct err *e);
int table_sane(const struct mcpauth_provider *p, struct err *e);
int options_sane(const struct mcpauth_provider *p, struct err *e);

/* ---- conform_idp.c */

/* Shared with the process that plays the identity providers. */
struct idp_shared {
  int scene; /* enum scene: how it answers */
  unsigned asked[IDPS];
  bool foreign;      /* it was sent a credential of somebody else */
  bool token_in_url; /* a credential stood in a request line */
};

struct idp {
  struct idp_shared *shared;
  int fds[IDPS], ports[IDPS], pid;
  struct script *script;
  struct jwt_key *key;
  const char *secret;
};
int idp_start(struct idp *i, struct script *s, struct err *e);
void idp_stop(struct idp *i);
/* TEXT with its placeholders filled in, for identity provider WHICH. */
const char *idp_fill(const struct idp *i, struct arena *a, const char *text, enum scene s,
                     unsigned which, const char *dir);
/* The credential of scene S. */
const char *idp_credential(const struct idp *i, struct arena *a, enum scene s, unsigned which);

#define CONFORM_NONCE    "nonce-of-the-conformance-test"
#define CONFORM_RESOURCE "http://127.0.0.1:7070/test"

/* ---- conform_world.c */

/* What a child found; shared with it. */
struct outcome {
  bool ended;         /* it came to its end */
  int signal, status; /* how the process ended */
  char error[512];    /* why the rule is broken; "" when it is not */
  enum mcpauth_result result;
  bool answered;
  char reason[256];
  int64_t blocked_ms; /* the longest that the loop stood still */
  unsigned asked[IDPS];
  uint32_t flags;    /* of the provider */
  bool guards;       /* it can answer PASS at best */
  bool logs_in;      /* it has the login callbacks */
  bool logs_in_only; /* and serves no line */
};

struct conform {
  const char *file, *plugindir;
  struct arena *arena;
  struct script script;
  struct idp idp;
  enum scene scene;
  int login;  /* enum call_kind of a login that is tried instead of a line; 0: none */
  int output; /* where the child writes */
  struct outcome *outcome;
};

/* Runs FN in a child process; its words are in c->outcome.  -1: no process could be made. */
typedef void conform_fn(struct conform *c, struct outcome *o);
int conform_child(struct conform *c, conform_fn *fn);

conform_fn world_load, world_tables, world_check, world_cycles, world_claims, world_lookup,
    world_gone, world_reload, world_twins, world_leaks, world_process, world_reuse, world_foreign,
    world_login_begin, world_login_finish;

#endif
