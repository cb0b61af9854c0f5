/* A world for key sets: the loop's timers, the fetcher, the hub-wide mark and the jobs are played,
 * so that an outage of a day takes no time and every fetch is counted. */
#ifndef TESTS_UNIT_KEYSET_WORLD_H
#define TESTS_UNIT_KEYSET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/keyset.h"
#include "jose.h"

#define ISSUER "https://idp.example/realm"
#define URI    "https://idp.example/jwks"

enum { SECOND = 1000, MINUTE = 60000, HOUR = 3600000 };

extern const int64_t begin_wall, begin_mono;
extern int64_t world_ms;       /* since the beginning */
extern unsigned world_fetches; /* ever */
extern int64_t world_mark_ms;  /* of the last forced fetch over the hub; -1: none */
extern char state_dir[64];
extern const struct keyset_env env;

/* Two signers, and what their issuer publishes before and after the rotation. */
extern struct signer old_key, new_key;
extern char *old_keys, *new_keys;

struct fetch {
  bool used;
  char url[256];
  fetch_done_fn *done;
  void *arg;
};

/* Lets MS pass; every timer fires at its time. */
void world_pass(int64_t ms);
void world_set_time(int64_t ms);
struct fetch *world_fetch(void); /* that is running, or NULL */
/* Answers it; status 0: no connection. */
void world_reply(int status, const char *body, int64_t max_age_s);
int world_setup(void **state);
int world_teardown(void **state);
/* Runs the tests between making and freeing the signers. */
#define world_run(tests) (world_begin(), world_end(cmocka_run_group_tests(tests, NULL, NULL)))
void world_begin(void);
int world_end(int failed);
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

struct asked {
  enum mcpauth_result result; /* 0: waits */
  char subject[32];
  struct keyset_wait *wait;
};

char *token_for(const struct signer *s, const char *iss);
void ask_text(struct keyset *ks, const char *token, struct asked *x);
void ask(struct keyset *ks, const struct signer *s, struct asked *x);
/* The answer, which must come at once. */
enum mcpauth_result now(struct keyset *ks, const struct signer *s);

struct keyset *open_source(struct keyset_source source);
struct keyset *open_uri(void);
/* With the old key in it, fetched now. */
struct keyset *open_filled(void);

#endif
