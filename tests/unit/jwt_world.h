/* Signers, their keys and a policy for hostile tokens. */
#ifndef TESTS_UNIT_JWT_WORLD_H
#define TESTS_UNIT_JWT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/jwt.h"
#include "jose.h"

#define ISS "https://idp.example"
#define AUD "https://mcp.example/notes"
#define NOW 1800000000
/* What every good token has, but for its end. */
#define BASE "\"iss\":\"" ISS "\",\"sub\":\"ann\",\"aud\":\"" AUD "\""
#define EXP  "\"exp\":1800000600"
#define GOOD "{" BASE "," EXP "}"

extern struct signer rsa, ec, ed, hs;
extern struct jwks *keys;   /* of rsa, ec and ed; each kid is its name */
extern struct jwks *secret; /* of hs */
extern const char *const issuers[1], *const audiences[1];
extern const struct mcpauth_jwt_policy policy; /* ISS, AUD, 30 s */

enum jwt_status verify_with(const char *token, const struct jwks *k,
                            const struct mcpauth_jwt_policy *p, int64_t now, struct err *e);
/* By KEYS and POLICY at NOW; fails naming the row and what was tried. */
void expect(unsigned row, const char *name, const char *token, enum jwt_status want);

/* Runs the tests between making and freeing all that, and says how many tokens were judged. */
#define jwt_world_run(tests)                                                                       \
  (jwt_world_begin(), jwt_world_end(cmocka_run_group_tests(tests, NULL, NULL)))
void jwt_world_begin(void);
int jwt_world_end(int failed);

#endif
