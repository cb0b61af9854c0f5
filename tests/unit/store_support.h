/* What the tests of the store share: a scratch folder with a key ring, connections, sample objects.
 */
#ifndef TESTS_STORE_SUPPORT_H
#define TESTS_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/clock.h"

static char dir[64];
static struct keyring *ring;

static inline const char *in_dir(const char *name)
{
  static _Thread_local char paths[8][128];
  static _Thread_local unsigned at;
  char *p = paths[at++ % 8];
  snprintf(p, 128, "%s/%s", dir, name);
  return p;
}

static inline int make_dir(void **state)
{
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/mcpauth-store.XXXXXX");
  if (mkdtemp(dir) == NULL)
    return -1;
  ring = keyring_load(dir, true, NULL);
  return ring ? 0 : -1;
}

static inline int remove_dir(void **state)
{
  (void)state;
  char command[128];
  keyring_free(ring);
  ring = NULL;
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

static inline void open_db(struct store_db *db)
{
  struct err e = {""};
  if (db_open(db, in_dir("store.db"), ring, &e) < 0 || db_prepare(db, &e) < 0)
    fail_msg("%s", e.text);
}

/* One transaction around EXPRESSION, whose value it has. */
#define TX(db, expression)                                                                         \
  __extension__({                                                                                  \
    assert_int_equal(db_begin((db), STORE_WRITE), 0);                                              \
    __typeof__(expression) result_ = (expression);                                                 \
    if (db_commit(db) < 0)                                                                         \
      fail_msg("%s", (db)->error.text);                                                            \
    result_;                                                                                       \
  })

static inline struct store_grant sample_grant(const char *id)
{
  return (struct store_grant){.id = str_of(id),
                              .issuer = STR("https://idp.example"),
                              .subject = STR("ann"),
                              .provider = STR("google"),
                              .client = STR("client-1"),
                              .client_name = STR("Claude"),
                              .service = STR("notes"),
                              .scopes = STR("notes:read notes:write"),
                              .principal = STR("{\"email\":\"ann@example.com\"}")};
}

static inline struct store_code sample_code(const char *code, const char *grant)
{
  return (struct store_code){.code = str_of(code),
                             .grant = sample_grant(grant),
                             .redirect = STR("http://127.0.0.1:7777/callback"),
                             .challenge = STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                             .data = STR("{\"resource\":\"https://mcp.example/notes\"}"),
                             .expires_at = clock_wall() + 60};
}

#endif
