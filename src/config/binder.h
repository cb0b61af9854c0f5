/* What the bind_*.c files share: the configuration that is being made, the statements that it is
 * made from, and where findings go.  Private to src/config. */
#ifndef CONFIG_BINDER_H
#define CONFIG_BINDER_H

#include <openssl/evp.h>

#include "config/options.h"
#include "config/report.h"
#include "config/values.h"

/* A top-level block with a name. */
struct named {
  const char *name;
  const struct statement *s;
  bool used;    /* something refers to it */
  bool good;    /* bound without an error */
  bool builtin; /* stands in no file */
  void *bound;  /* struct config_scope, config_provider, config_service or line_list of a stack */
  void *extra;  /* what the kind needs between its passes */
};

struct names {
  const char *noun; /* "provider" */
  struct named *v;
  size_t n;
};

/* Lines as they stand, before includes are put in. */
enum line_kind { LINE_AUTH = 1, LINE_INCLUDE, LINE_ACCOUNT };

struct line_source {
  struct config_at at;
  enum line_kind kind;
  enum control control; /* LINE_AUTH */
  struct named *named;  /* provider, or stack of LINE_INCLUDE */
};

struct line_list {
  struct line_source *v;
  size_t n, n_auth; /* n_auth counts LINE_INCLUDE too */
  bool broken;      /* an auth line could not be read, and was reported */
};

struct scope_list {
  const struct config_scope **v;
  size_t n;
};

struct condition_list {
  const struct config_condition *v;
  size_t n;
};

/* Where conditions stand, and what they may look at there. */
struct condition_place {
  const char *what; /* "a method line" */
  bool scopes, arguments;
  size_t *count; /* conditions so far, LIMIT_CONDITIONS at most */
};

/* `require` of a hub or service block. */
struct demands {
  struct scope_list scopes;
  struct condition_list conditions;
};

/* Statements of rules as they stand, and the lines that they mean. */
struct rule_source {
  const struct statement **v;
  size_t n;
};

struct rule_list {
  struct config_rule *v;
  size_t n;
};

/* accept_risk NAME in one block. */
struct risk {
  const char *name;
  struct config_at at;
  bool used;
};

struct risks {
  struct risk *v;
  size_t n;
};

struct binder {
  struct config *c;
  struct arena *arena;   /* of the configuration */
  struct arena *scratch; /* forgotten after the load */
  struct findings *f;
  const struct config_modules *modules;
  unsigned user_id;
  struct names providers, scopes, policies, stacks, services, clients;
  const struct statement *hub, *oauth;
  struct buf text;     /* the effective configuration, as config_print shows it */
  unsigned depth;      /* of the block that text is in */
  char mark[64];       /* comment for the line of text that is being made: a secret's fingerprint */
  EVP_MD_CTX *digest;  /* over what text does not show: contents of secrets and files */
  struct risks *risks; /* of the block that is being bound */
  struct risks *more_risks; /* lints about its stack may be accepted there too */
  struct risks hub_risks;
  bool judged; /* the providers are sound, so that stacks could be judged, and all lints be met */

  struct line_list hub_lines;
  struct demands hub_demands;
  struct rule_list hub_rules;
  struct config_at public_url_at;
  struct named **assertion_providers; /* of oauth.assertion_issuers */
};

/* ---- one pass each, called by bind.c in this order */
void bind_scopes(struct binder *b);
void bind_policies(struct binder *b);
void bind_hub(struct binder *b);
void bind_stacks(struct binder *b);
void bind_services(struct binder *b);
void bind_providers(struct binder *b);
void bind_resolve_services(struct binder *b);
/* Once the effective text is whole. */
void bind_access(struct binder *b);
/* oauth { } and client NAME { }: once their services are bound; and what the stacks then say. */
void bind_oauth(struct binder *b);
void bind_clients(struct binder *b);
void bind_resolve_oauth(struct binder *b);

/* ---- shared pieces */

/* NULL, with the error reported at WORD. */
struct named *names_find(struct binder *b, struct names *names, const struct word *word);
/* The same, without marking it as used. */
struct named *names_look(struct binder *b, struct names *names, const struct word *word);
/* Whether the statement has from LEAST to MOST words behind its name; reports FORM if not. */
bool statement_form(struct binder *b, const struct statement *s, size_t least, size_t most,
                    const char *form);
/* COPY in the configuration's arena; "" when out of memory (which is reported). */
const char *bind_dup(struct binder *b, struct str s);
void *bind_alloc(struct binder *b, size_t n, size_t size);
/* The built-in provider of configured clients as a block that stands in no file, unless there is
 * one. */
void builtin_add(struct binder *b);
/* Appends WORD to LIST. */
void words_add(struct binder *b, struct config_words *list, const char *word);
void bind_no_memory(struct binder *b);
/* Content of a file that decides what the hub does: mixed into the fingerprint.  NULL: reported. */
struct str bind_read_file(struct binder *b, const struct word *path, size_t max);
void bind_digest(struct binder *b, struct str content);

/* Custom statements that several blocks have; TARGET as each says. */
void custom_line(struct binder *b, const struct statement *s, void *target); /* struct line_list */
void custom_accept_risk(struct binder *b, const struct statement *s,
                        void *target); /* struct risks */
void custom_origin(struct binder *b, const struct statement *s,
                   void *target); /* struct config_words */
void custom_ca_file(struct binder *b, const struct statement *s, void *target); /* const char * */
void custom_proxy(struct binder *b, const struct statement *s, void *target);   /* const char * */
/* struct demands; writes itself */
void custom_require(struct binder *b, const struct statement *s, void *target);
/* struct scope_list */
void custom_scopes(struct binder *b, const struct statement *s, void *target);
/* struct listen_list */
void custom_listen(struct binder *b, const struct statement *s, void *target);

void scope_list_add(struct binder *b, struct scope_list *list, const struct config_scope *scope);
/* The words from FROM on name declared scopes. */
void scope_list_read(struct binder *b, const struct statement *s, size_t from,
                     struct scope_list *list);
/* Sorted by name, without duplicates. */
void scope_list_sort(struct scope_list *list);

/* ---- conditions (bind_condition.c) */

/* S as one condition; its first word is the condition's. */
void condition_bind(struct binder *b, const struct condition_place *place,
                    const struct statement *s, bool negated, struct config_condition *ret);
void conditions_bind(struct binder *b, const struct condition_place *place,
                     const struct block *block, struct config_at at, bool negated,
                     struct condition_list *ret);
/* The words of S from FROM on as one condition, or those of its block. */
void conditions_after(struct binder *b, const struct condition_place *place,
                      const struct statement *s, size_t from, struct condition_list *ret);

struct listen_list {
  struct config_listen *v;
  size_t n;
  bool admin;
};

/* Collisions, lints, loopback_only. */
void listen_finish(struct binder *b, const struct listen_list *list,
                   const struct listen_list *admin);

/* Whether the providers of LIST serve the kinds of line that they stand in. */
void lines_check(struct binder *b, const struct line_list *list);
/* Puts includes in.  LISTS are flattened one behind the other. */
void stack_flatten(struct binder *b, struct config_at at, const struct line_list *const *lists,
                   size_t n, struct config_stack *ret);

/* ---- risks and lints (lint.c) */

/* Reports the lint at AT unless the current block accepts it: as an error, or as a warning. */
void lint(struct binder *b, const char *name, struct config_at at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether the risk is accepted there; then it is a needed one. */
bool risk_accepted(struct risks *risks, const char *name);
void lint_warning(struct binder *b, const char *name, struct config_at at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Warns about accepted risks that do not exist, and notes those that do. */
void risks_end(struct binder *b, const struct risks *risks);
/* The lints about a service's stack, once providers are bound.  MORE may accept them too (NULL:
 * nobody else). */
void lint_stack(struct binder *b, const struct config_service *s, struct risks *more);
/* One sentence for `check -v`. */
void note(struct binder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
