/* The world of hostile tokens; see jwt_world.h. */
#include "jwt_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

struct signer rsa, ec, ed, hs;
struct jwks *keys, *secret;
static unsigned tokens;

const char *const issuers[1] = {ISS}, *const audiences[1] = {AUD};
const struct mcpauth_jwt_policy policy = {
    .issuers = {1, issuers}, .audiences = {1, audiences}, .leeway_ms = 30000};

enum jwt_status verify_with(const char *token, const struct jwks *k,
                            const struct mcpauth_jwt_policy *p, int64_t now, struct err *e)
{
  enum jwt_status status;
  struct jwt *t = jwt_parse(str_of(token), &status, e);
  tokens++;
  if (t == NULL)
    return status;
  status = jwt_verify(t, k, p, now, e);
  jwt_free(t);
  return status;
}

void expect(unsigned row, const char *name, const char *token, enum jwt_status want)
{
  struct err e = {""};
  enum jwt_status got = verify_with(token, keys, &policy, NOW, &e);
  if (got != want)
    fail_msg("row %u, %s: status %d, not %d (%s)", row, name, (int)got, (int)want, e.text);
  if (want != JWT_VALID && e.text[0] == 0)
    fail_msg("row %u, %s: refused without a reason", row, name);
}

void jwt_world_begin(void)
{
  struct err e = {""};
  rsa = signer_make(ALG_RS256, "rsa");
  ec = signer_make(ALG_ES256, "ec");
  ed = signer_make(ALG_EDDSA, "ed");
  hs = signer_make(ALG_HS256, NULL);
  const struct signer all[] = {rsa, ec, ed};
  AUTO_FREE char *text = signers_jwks(all, ARRAY_SIZE(all));
  keys = jwks_parse(str_of(text), false, &e);
  secret = jwks_of_secret(hs.secret, &e);
  if (keys == NULL || secret == NULL)
    abort();
}

int jwt_world_end(int failed)
{
  printf("%u tokens judged\n", tokens);
  jwks_free(keys);
  jwks_free(secret);
  signer_done(&rsa);
  signer_done(&ec);
  signer_done(&ed);
  return failed;
}
