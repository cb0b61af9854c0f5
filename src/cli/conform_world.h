/* The world of one child of `mcpauth provider test`: private to conform_world.c, which makes it,
 * and conform_rules.c, whose rules use it. */
#ifndef CLI_CONFORM_WORLD_H
#define CLI_CONFORM_WORLD_H

#include "auth/call.h"
#include "auth/loader.h"
#include "cli/conform.h"

struct world {
  struct conform *c;
  struct arena *arena;
  char *dir;
  struct loader *loader;
  const struct mcpauth_provider *table;
  struct config *config;
  struct loop *loop;
  struct jobs *jobs;
  struct fetcher *fetcher;
  struct host host;
  struct timer beat, bound;
  int64_t late_ms; /* how long the loop stood still at most */
};

struct lookup {
  struct world *world;
  struct mcpauth_instance *instance;
  enum call_kind kind;
  struct mcpauth_credential credential;
  struct mcpauth_facts facts;
  struct mcpauth_login login;
  struct principal *who;
  json_t *known;
  struct mcpauth_request *call;
  struct call_answer answer;
  bool done;
};

/* Whether its best answer is PASS. */
bool guards(const struct mcpauth_provider *p);

/* All say why in O and return -1 when they fail. */
int fails(struct outcome *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
int world_open(struct world *w, struct conform *c, struct outcome *o); /* the configuration */
int world_start(struct world *w, struct outcome *o);                   /* the host, instances */
int world_begin(struct world *w, struct outcome *o);                   /* instances again */
void world_stop(struct world *w);                                      /* all of world_start */
void world_close(struct world *w);                                     /* removes the files */
void world_turn(struct world *w, int64_t ms);                          /* until MS or loop_stop */

void lookup_prepare(struct world *w, struct lookup *l, unsigned which, enum scene s);
bool lookup_claims(const struct lookup *l);
void lookup_start(struct lookup *l);
void lookup_end(struct lookup *l);
/* One lookup to its end. */
enum mcpauth_result ask(struct world *w, unsigned which, enum scene s, struct outcome *o);

size_t count_entries(const char *folder);
int64_t memory_used(void);

#endif
