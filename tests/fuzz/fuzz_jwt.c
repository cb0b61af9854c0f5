/* The input is a token, and again header and payload (split at the first line end), which are then
 * signed as they are.  What jwt_verify calls valid has the issuer, the audience and the time that
 * the policy asks for, and jwt_issuer says of whatever jwt_parse takes what its payload says (rows
 * 1, 7, 9, 10, 14, 15). */
#include <stdlib.h>
#include <string.h>

#include "auth/jws_sign.h"
#include "auth/jwt.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1800000000 };

static const char *const issuers[] = {"https://i"}, *const audiences[] = {"https://a"};
static const struct mcpauth_jwt_policy policy = {
    .issuers = {1, issuers}, .audiences = {1, audiences}, .leeway_ms = 30000};

static bool audience_is_ours(const json_t *aud)
{
  size_t i;
  json_t *one;
  json_array_foreach(aud, i, one) if (str_is(json_text(one), audiences[0])) return true;
  return str_is(json_text(aud), audiences[0]);
}

static void check_valid(const struct jwt *t)
{
  json_t *p = jwt_payload(t), *exp = json_object_get(p, "exp");
  if (!str_is(json_str(p, "iss"), issuers[0]) || !audience_is_ours(json_object_get(p, "aud")) ||
      !json_is_number(exp) || !(json_number_value(exp) > NOW - 30.0) ||
      json_object_get(p, "nonce") || json_object_get(jwt_header(t), "crit"))
    abort();
}

static void check_issuer(const struct jwt *t, struct str token)
{
  char out[8192];
  struct str iss = json_str(jwt_payload(t), "iss");
  int got = jwt_issuer(token, out, sizeof out);
  if (got == 0 ? !str_is(iss, out) : iss.n > 0)
    abort();
}

static void try_token(struct str token, const struct jwks *keys)
{
  struct err e = {""};
  enum jwt_status status;
  char out[64];
  struct jwt *t = jwt_parse(token, &status, &e);
  jwt_issuer(token, out, sizeof out);
  if ((t != NULL) != (status == JWT_VALID))
    abort();
  if (t == NULL)
    return;
  check_issuer(t, token);
  if (jwt_verify(t, keys, &policy, NOW, &e) == JWT_VALID)
    check_valid(t);
  jwt_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct jwks *keys;
  const struct str secret = STR("0123456789abcdef0123456789abcdef");
  struct str all = {(const char *)data, size};
  struct err e = {""};
  if (keys == NULL && (keys = jwks_of_secret(secret, &e)) == NULL)
    abort();
  try_token(all, keys);
  size_t at = str_chr(all, '\n');
  struct buf token;
  buf_init(&token, 65536);
  if (at < size && jws_compact(ALG_HS256, NULL, secret, str_slice(all, 0, at),
                               str_slice(all, at + 1, size), &token, &e) == 0)
    try_token(buf_view(&token), keys);
  buf_done(&token);
  return 0;
}
