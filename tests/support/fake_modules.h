/* Provider tables for tests of the configuration, without any shared object: `tokens`, `issuers`
 * (an option of every type), `guard`, `gate` (account lines only), `remote`.  Included by one
 * source file of a test program. */
#ifndef SUPPORT_FAKE_MODULES_H
#define SUPPORT_FAKE_MODULES_H

#include <string.h>

#include "config/config.h"
#include "util/cleanup.h"

struct fake_tokens {
  const char *file;
};

struct fake_issuers {
  struct mcpauth_list issuer, map;
  const char *jwks_uri, *keys, *audience;
  const struct secret *shared;
  int64_t leeway, most, room;
  bool strict;
  int claims;
};

static enum mcpauth_result fake_call(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)rq, (void)config, (void)state;
  return MCPAUTH_ERROR;
}

static bool fake_claims(const void *config, void *state, const struct mcpauth_credential *c)
{
  (void)config, (void)state, (void)c;
  return true;
}

static struct mcpauth_list fake_list(const void *config)
{
  return ((const struct fake_issuers *)config)->issuer;
}

static const char *const fake_presets[] = {"none", "keycloak", "entra", NULL};

#define FAKE(member) .offset = offsetof(struct fake_issuers, member)

static const struct mcpauth_option fake_tokens_options[] = {
    {.name = "file",
     .type = MCPAUTH_PATH,
     .flags = MCPAUTH_REQUIRED,
     .offset = offsetof(struct fake_tokens, file),
     .metavar = "PATH"},
    {.name = NULL},
};

static const struct mcpauth_option fake_issuers_options[] = {
    {.name = "issuer",
     .type = MCPAUTH_LIST,
     .flags = MCPAUTH_REQUIRED,
     FAKE(issuer),
     .metavar = "URL"},
    {.name = "jwks_uri", .type = MCPAUTH_URL, FAKE(jwks_uri), .metavar = "URL"},
    {.name = "keys", .type = MCPAUTH_PATH, FAKE(keys), .metavar = "PATH"},
    {.name = "shared", .type = MCPAUTH_SECRET, FAKE(shared), .metavar = "SECRET"},
    {.name = "audience", .type = MCPAUTH_STRING, FAKE(audience), .metavar = "URI"},
    {.name = "leeway", .type = MCPAUTH_DURATION, FAKE(leeway), .fallback = "30s", .max = 300000},
    {.name = "most", .type = MCPAUTH_INTEGER, FAKE(most), .fallback = "10", .min = 1, .max = 100},
    {.name = "room",
     .type = MCPAUTH_SIZE,
     FAKE(room),
     .fallback = "64k",
     .min = 1024,
     .max = 1 << 20},
    {.name = "strict", .type = MCPAUTH_BOOL, FAKE(strict), .fallback = "on"},
    {.name = "claims",
     .type = MCPAUTH_CHOICE,
     FAKE(claims),
     .fallback = "none",
     .choices = fake_presets},
    {.name = "map", .type = MCPAUTH_PAIRS, FAKE(map)},
    {.name = NULL},
};

static const struct mcpauth_option fake_clash_options[] = {
    {.name = "deadline", .type = MCPAUTH_STRING, .metavar = "TEXT"},
    {.name = NULL},
};

static const struct mcpauth_provider fake_tables[] = {
    {.name = "tokens",
     .options = fake_tokens_options,
     .config_size = sizeof(struct fake_tokens),
     .verify = fake_call,
     .claims = fake_claims},
    {.name = "issuers",
     .options = fake_issuers_options,
     .config_size = sizeof(struct fake_issuers),
     .verify = fake_call,
     .claims = fake_claims,
     .issuers = fake_list},
    {.name = "guard", .flags = MCPAUTH_GUARD, .verify = fake_call},
    {.name = "gate", .account = fake_call},
    {.name = "remote", .flags = MCPAUTH_REMOTE, .verify = fake_call},
    {.name = "clash", .options = fake_clash_options, .config_size = 64, .verify = fake_call},
};

static const struct mcpauth_provider *fake_load(void *self, const char *module, struct arena *arena,
                                                const char **ret_path, struct err *e)
{
  (void)self, (void)arena;
  for (size_t i = 0; i < ARRAY_SIZE(fake_tables); i++)
    if (strcmp(fake_tables[i].name, module) == 0) {
      *ret_path = "/nowhere/fake.so";
      return &fake_tables[i];
    }
  err_set(e, "there is no such file");
  return NULL;
}

/* A rule between options: keys from one place only. */
static int fake_check(void *self, const struct config_provider *p, const char **ret_option,
                      struct err *e)
{
  const struct fake_issuers *c = p->config;
  (void)self;
  if (strcmp(p->module, "issuers") != 0 || c->keys == NULL || c->jwks_uri == NULL)
    return 0;
  *ret_option = "keys";
  return err_set(e, "keys and jwks_uri exclude each other");
}

static size_t fake_names(void *self, struct arena *arena, const char ***ret)
{
  (void)self;
  const char **v = arena_array(arena, ARRAY_SIZE(fake_tables), sizeof *v);
  for (size_t i = 0; v && i < ARRAY_SIZE(fake_tables); i++)
    v[i] = fake_tables[i].name;
  *ret = v;
  return v ? ARRAY_SIZE(fake_tables) : 0;
}

static const struct config_modules fake_modules = {NULL, fake_load, fake_check, fake_names};

#endif
