/* Hostile tokens, made here: every way in which a JWT can be almost right (rows 1 to 17, 183). Each
 * table entry names the row that it is about; the last line counts them. */
#include <config.h> /* asprintf */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "jose.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

#define ISS "https://idp.example"
#define AUD "https://mcp.example/notes"
#define NOW 1800000000
/* What every good token has, but for its end. */
#define BASE "\"iss\":\"" ISS "\",\"sub\":\"ann\",\"aud\":\"" AUD "\""
#define EXP  "\"exp\":1800000600"
#define GOOD "{" BASE "," EXP "}"

static struct signer rsa, ec, ed, hs;
static struct jwks *keys, *secret;
static unsigned tokens;

static const char *const issuers[] = {ISS}, *const audiences[] = {AUD};
static const struct mcpauth_jwt_policy policy = {
    .issuers = {1, issuers}, .audiences = {1, audiences}, .leeway_ms = 30000};

static enum jwt_status verify_with(const char *token, const struct jwks *k,
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

static void expect(unsigned row, const char *name, const char *token, enum jwt_status want)
{
  struct err e = {""};
  enum jwt_status got = verify_with(token, keys, &policy, NOW, &e);
  if (got != want)
    fail_msg("row %u, %s: status %d, not %d (%s)", row, name, (int)got, (int)want, e.text);
  if (want != JWT_VALID && e.text[0] == 0)
    fail_msg("row %u, %s: refused without a reason", row, name);
}

/* ------------------------------------------------------------------ headers */

static const struct {
  unsigned row;
  const char *header;
  enum jwt_status want;
} headers[] = {
    {0, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", JWT_VALID},
    {0, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}", JWT_VALID},
    {0, " {\"alg\" : \"RS256\",\n\t\"kid\":\"rsa\"} ", JWT_VALID},
    {0, "{\"alg\":\"RS256\"}", JWT_VALID}, /* the only RSA key */
    {1, "{\"alg\":\"none\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"None\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"NONE\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"nOnE\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":null,\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":1,\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":true,\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":{\"RS256\":1},\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"Alg\":\"RS256\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"rs256\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"RS256 \",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"RS256\\u0000\",\"kid\":\"rsa\"}", JWT_MALFORMED},
    {1, "{\"alg\":\"RS1\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"ES256K\",\"kid\":\"ec\"}", JWT_WRONG_ALGORITHM},
    {1, "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", JWT_MALFORMED},
    {1, "{\"alg\":\"RSA-OAEP\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"EdDSA\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"HS256\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"RS256\",\"kid\":\"ec\"}", JWT_WRONG_ALGORITHM},
    {2, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", JWT_BAD_SIGNATURE},
    {2, "{\"alg\":\"RS512\",\"kid\":\"rsa\"}", JWT_BAD_SIGNATURE},
    /* embedded keys say nothing: the signature is by the set's key */
    {3, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"http://127.0.0.1:9/\"}", JWT_VALID},
    {3, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5u\":\"http://127.0.0.1:9/\"}", JWT_VALID},
    {3, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5c\":[\"MIIB\"]}", JWT_VALID},
    {3, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5t\":\"AAAA\"}", JWT_VALID},
    {4, "{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"x' UNION SELECT 'k\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"/dev/null\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"RSA\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"rsa \"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"rs\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"\"}", JWT_UNKNOWN_KEY},
    {4, "{\"alg\":\"RS256\",\"kid\":\"rsa\\u0000\"}", JWT_MALFORMED},
    {4, "{\"alg\":\"RS256\",\"kid\":1}", JWT_MALFORMED},
    {4, "{\"alg\":\"RS256\",\"kid\":null}", JWT_MALFORMED},
    {4, "{\"alg\":\"RS256\",\"kid\":[\"rsa\"]}", JWT_MALFORMED},
    {4, "{\"alg\":\"RS256\",\"kid\":{\"rsa\":1}}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[]}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":null}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"b64\"],\"b64\":true}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":false}", JWT_MALFORMED},
    {5, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":true}", JWT_MALFORMED},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+JWT\"}", JWT_VALID},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"application/at+jwt\"}", JWT_VALID},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"jwt\"}", JWT_VALID},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"logout+jwt\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"secevent+jwt\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"dpop+jwt\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"oauth-authz-req+jwt\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"client-authentication+jwt\"}",
     JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JOSE\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"none\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"\"}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":null}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":1}", JWT_WRONG_TYPE},
    {11, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":[\"JWT\"]}", JWT_WRONG_TYPE},
    {12, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"zip\":\"DEF\"}", JWT_MALFORMED},
    {12, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"enc\":\"A128GCM\"}", JWT_MALFORMED},
    {13, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"alg\":\"RS256\"}", JWT_MALFORMED},
    {13, "{\"alg\":\"RS256\",\"kid\":\"ec\",\"kid\":\"rsa\"}", JWT_MALFORMED},
    {13, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"\\u006bid\":\"ec\"}", JWT_MALFORMED},
    {15, "[]", JWT_MALFORMED},
    {15, "[{\"alg\":\"RS256\"}]", JWT_MALFORMED},
    {15, "\"RS256\"", JWT_MALFORMED},
    {15, "null", JWT_MALFORMED},
    {15, "1", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\"", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}{}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",}", JWT_MALFORMED},
    {15, "{'alg':'RS256'}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":NaN}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":01}", JWT_MALFORMED},
    {15, "/**/{\"alg\":\"RS256\",\"kid\":\"rsa\"}", JWT_MALFORMED},
    {15, "\xef\xbb\xbf{\"alg\":\"RS256\",\"kid\":\"rsa\"}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\xff\"}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\xc0\xaf\"}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":\"\\ud800\"}", JWT_MALFORMED},
    {15, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}",
     JWT_MALFORMED},
};

static void hostile_headers(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
    AUTO_FREE char *t = signer_raw(&rsa, ALG_RS256, str_of(headers[i].header), str_of(GOOD));
    expect(headers[i].row, headers[i].header, t, headers[i].want);
  }
}

/* ------------------------------------------------------------------ claims */

#define WITH(more) "{" BASE "," EXP "," more "}"
#define AT(times)  "{" BASE "," times "}"

static const struct {
  unsigned row;
  const char *payload;
  enum jwt_status want;
} payloads[] = {
    {0, GOOD, JWT_VALID},
    {7, "{" BASE "}", JWT_BAD_CLAIM},
    {7, AT("\"exp\":\"1800000600\""), JWT_BAD_CLAIM},
    {7, AT("\"exp\":null"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":[1800000600]"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":{}"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":true"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":false"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":-1"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":-1e300"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":-9223372036854775808"), JWT_BAD_CLAIM},
    {7, AT("\"EXP\":1800000600"), JWT_BAD_CLAIM},
    {7, AT("\"exp\":0"), JWT_EXPIRED},
    {7, AT("\"exp\":1"), JWT_EXPIRED},
    {7, AT("\"exp\":1e-300"), JWT_EXPIRED},
    {7, AT("\"exp\":1799999970"), JWT_EXPIRED},
    {7, AT("\"exp\":1799999969.999"), JWT_EXPIRED},
    {7, AT("\"exp\":1799999970.5"), JWT_VALID},
    {8, AT("\"exp\":1e300"), JWT_VALID},
    {8, AT("\"exp\":1.7976931348623157e308"), JWT_VALID},
    {8, AT("\"exp\":1e400"), JWT_MALFORMED},
    {8, AT("\"exp\":2147483647"), JWT_VALID},
    {8, AT("\"exp\":2147483648"), JWT_VALID},
    {8, AT("\"exp\":4294967296"), JWT_VALID},
    {8, AT("\"exp\":9007199254740992"), JWT_VALID},
    {8, AT("\"exp\":9223372036854775807"), JWT_VALID},
    {8, AT("\"exp\":9223372036854775808"), JWT_MALFORMED},
    {8, AT("\"exp\":1800000600.25"), JWT_VALID},
    {8, AT("\"exp\":1.8000006e9"), JWT_VALID},
    {8, AT("\"exp\":NaN"), JWT_MALFORMED},
    {8, AT("\"exp\":Infinity"), JWT_MALFORMED},
    {8, WITH("\"nbf\":1e300"), JWT_NOT_YET_VALID},
    {8, WITH("\"nbf\":9223372036854775807"), JWT_NOT_YET_VALID},
    {8, WITH("\"nbf\":1800000031"), JWT_NOT_YET_VALID},
    {8, WITH("\"nbf\":1800000030"), JWT_VALID},
    {8, WITH("\"nbf\":0"), JWT_VALID},
    {8, WITH("\"nbf\":\"0\""), JWT_BAD_CLAIM},
    {8, WITH("\"nbf\":null"), JWT_BAD_CLAIM},
    {8, WITH("\"nbf\":-5"), JWT_BAD_CLAIM},
    {183, WITH("\"iat\":1800000031"), JWT_NOT_YET_VALID},
    {183, WITH("\"iat\":1800000029"), JWT_VALID},
    {183, WITH("\"iat\":1e300"), JWT_NOT_YET_VALID},
    {183, WITH("\"iat\":\"now\""), JWT_BAD_CLAIM},
    {183, WITH("\"iat\":[1]"), JWT_BAD_CLAIM},
    {9, "{\"sub\":\"ann\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"" ISS "/\",\"sub\":\"ann\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"https://IDP.example\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"HTTPS://idp.example\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"https://idp.exampl\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"https://idp.example.evil\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\" " ISS "\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":[\"" ISS "\"],\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":{\"" ISS "\":1},\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":null,\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"\",\"aud\":\"" AUD "\"," EXP "}", JWT_WRONG_ISSUER},
    {9, "{\"iss\":\"https:\\/\\/idp.example\",\"aud\":\"" AUD "\",\"sub\":\"a\"," EXP "}",
     JWT_VALID},
    {10, "{\"iss\":\"" ISS "\",\"sub\":\"ann\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"https://mcp.example\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "/\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "2\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"https://mcp.example/NOTES\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"x " AUD "\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"*\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":\"\"," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":[]," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":null," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":true," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":{\"" AUD "\":1}," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":[[\"" AUD "\"]]," EXP "}", JWT_BAD_CLAIM},
    {10, "{\"iss\":\"" ISS "\",\"aud\":[\"" AUD "\",1]," EXP "}", JWT_BAD_CLAIM},
    {10, "{\"iss\":\"" ISS "\",\"aud\":[\"x\",\"y\"]," EXP "}", JWT_WRONG_AUDIENCE},
    {10, "{\"iss\":\"" ISS "\",\"aud\":[\"x\",\"" AUD "\"],\"sub\":\"a\"," EXP "}", JWT_VALID},
    {11, WITH("\"nonce\":\"n\""), JWT_WRONG_TYPE},
    {11, WITH("\"nonce\":null"), JWT_WRONG_TYPE},
    {11, WITH("\"at_hash\":\"MTIzNDU2Nzg5MDEyMzQ1Ng\""), JWT_WRONG_TYPE},
    {11, WITH("\"c_hash\":\"LDktKdoQak3Pk0cnXxCltA\""), JWT_WRONG_TYPE},
    {11, WITH("\"s_hash\":\"x\""), JWT_WRONG_TYPE},
    {11,
     WITH("\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}},\"sid\":\"s\""),
     JWT_WRONG_TYPE},
    {11, WITH("\"typ\":\"ID\""), JWT_WRONG_TYPE},
    {11, WITH("\"typ\":\"Refresh\""), JWT_WRONG_TYPE},
    {11, WITH("\"typ\":\"Logout\""), JWT_WRONG_TYPE},
    {11, WITH("\"typ\":\"Bearer\""), JWT_VALID},
    {13, WITH("\"sub\":\"bob\""), JWT_MALFORMED},
    {13, WITH("\"\\u0073ub\":\"bob\""), JWT_MALFORMED},
    {13, WITH("\"aud\":\"x\""), JWT_MALFORMED},
    {13, WITH("\"exp\":1"), JWT_MALFORMED},
    {13, WITH("\"x\":{\"a\":1,\"a\":2}"), JWT_MALFORMED},
    {15, "[" GOOD "]", JWT_MALFORMED},
    {15, "\"x\"", JWT_MALFORMED},
    {15, "", JWT_MALFORMED},
    {15, " ", JWT_MALFORMED},
    {15, "null", JWT_MALFORMED},
    {15, GOOD "\n", JWT_VALID},
    {15, GOOD GOOD, JWT_MALFORMED},
    {15, "\xef\xbb\xbf" GOOD, JWT_MALFORMED},
    {15, WITH("\"x\":\"\xed\xa0\x80\""), JWT_MALFORMED},
    {15, WITH("\"x\":\"\\u0000\""), JWT_MALFORMED},
    {15, WITH("\"x\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]"), JWT_VALID}, /* depth 16 */
    {15, WITH("\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), JWT_MALFORMED},
    {24, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"\"," EXP "}", JWT_BAD_CLAIM},
    {24, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":1," EXP "}", JWT_BAD_CLAIM},
    {24, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":null," EXP "}", JWT_BAD_CLAIM},
    {24, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":[\"ann\"]," EXP "}", JWT_BAD_CLAIM},
};

static void hostile_payloads(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
    AUTO_FREE char *t = signer_token(&rsa, payloads[i].payload);
    expect(payloads[i].row, payloads[i].payload, t, payloads[i].want);
  }
}

/* Bytes that no C string holds: a NUL behind a number is where a parser may stop (D11). */
static void a_nul_byte_anywhere_is_malformed(void **state)
{
  (void)state;
  char payload[] = GOOD;
  for (size_t i = 0; i < sizeof payload - 1; i++) {
    char spoilt[sizeof payload];
    memcpy(spoilt, payload, sizeof payload);
    memmove(spoilt + i + 1, spoilt + i, sizeof payload - 1 - i);
    spoilt[i] = 0;
    AUTO_FREE char *t = signer_raw(&rsa, ALG_RS256, STR("{\"alg\":\"RS256\",\"kid\":\"rsa\"}"),
                                   (struct str){spoilt, sizeof payload});
    expect(15, "NUL", t, JWT_MALFORMED);
  }
}

/* ------------------------------------------------------------------ policy */

struct policy_case {
  const char *what, *payload;
  struct mcpauth_jwt_policy policy;
  enum jwt_status want;
};

static void policies_are_kept(void **state)
{
  (void)state;
  static const char *const rs[] = {"RS512", "ES256"}, *const at[] = {"at+jwt"},
                           *const no[] = {"none"}, *const other[] = {"application/x+jwt"};
#define POLICY .issuers = {1, issuers}, .audiences = { 1, audiences }
  const struct policy_case cases[] = {
      {"no issuers", GOOD, {.audiences = {1, audiences}}, JWT_WRONG_ISSUER},
      {"no audiences", GOOD, {.issuers = {1, issuers}}, JWT_WRONG_AUDIENCE},
      {"algorithms", GOOD, {POLICY, .algorithms = {2, rs}}, JWT_WRONG_ALGORITHM},
      {"types", GOOD, {POLICY, .types = {1, at}}, JWT_VALID},
      {"types none", GOOD, {POLICY, .types = {1, no}}, JWT_WRONG_TYPE},
      {"types other", GOOD, {POLICY, .types = {1, other}}, JWT_WRONG_TYPE},
      {"require nbf", GOOD, {POLICY, .require_nbf = true}, JWT_BAD_CLAIM},
      {"require iat", GOOD, {POLICY, .require_iat = true}, JWT_BAD_CLAIM},
      {"require sub",
       "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\"," EXP "}",
       {POLICY, .require_sub = true},
       JWT_BAD_CLAIM},
      {"no sub", "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\"," EXP "}", {POLICY}, JWT_VALID},
      {"max age needs iat", GOOD, {POLICY, .max_age_ms = 1000}, JWT_BAD_CLAIM},
      {"max age", WITH("\"iat\":1799999939"), {POLICY, .max_age_ms = 60000}, JWT_EXPIRED},
      {"max age, just", WITH("\"iat\":1799999940"), {POLICY, .max_age_ms = 60000}, JWT_VALID},
      {"max lifetime",
       WITH("\"iat\":1799999999"),
       {POLICY, .max_lifetime_ms = 600000},
       JWT_BAD_CLAIM},
      {"max lifetime, just",
       WITH("\"iat\":1800000000"),
       {POLICY, .max_lifetime_ms = 600000},
       JWT_VALID},
      {"max lifetime, no iat",
       AT("\"exp\":1800000601"),
       {POLICY, .max_lifetime_ms = 600000},
       JWT_BAD_CLAIM},
      {"max lifetime 1e300",
       AT("\"exp\":1e300"),
       {POLICY, .max_lifetime_ms = 86400000},
       JWT_BAD_CLAIM},
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct err e = {""};
    AUTO_FREE char *t = signer_token(&rsa, cases[i].payload);
    enum jwt_status got = verify_with(t, keys, &cases[i].policy, NOW, &e);
    if (got != cases[i].want)
      fail_msg("%s: status %d, not %d (%s)", cases[i].what, (int)got, (int)cases[i].want, e.text);
  }
}

/* row 10: a token for one of five services passes there and nowhere else. */
static void tokens_pass_at_their_own_service_only(void **state)
{
  (void)state;
  char urls[5][64], payload[512];
  for (int i = 0; i < 5; i++)
    snprintf(urls[i], sizeof urls[i], "https://mcp.example/%.*s", i + 1, "notes");
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++) {
      const char *here = urls[j];
      struct mcpauth_jwt_policy p = {.issuers = {1, issuers}, .audiences = {1, &here}};
      struct err e = {""};
      snprintf(payload, sizeof payload,
               "{\"iss\":\"" ISS "\",\"sub\":\"a\",\"aud\":\"%s\"," EXP "}", urls[i]);
      AUTO_FREE char *t = signer_token(&ec, payload);
      assert_int_equal(verify_with(t, keys, &p, NOW, &e), i == j ? JWT_VALID : JWT_WRONG_AUDIENCE);
    }
}

/* row 183: the leeway is the same on both sides, to the second. */
static void clocks_may_differ_by_the_leeway(void **state)
{
  (void)state;
  AUTO_FREE char *t =
      signer_token(&ec, "{" BASE ",\"nbf\":1800000000,\"iat\":1800000000,\"exp\":1800000000}");
  for (int skew = -120; skew <= 120; skew++) {
    struct err e = {""};
    enum jwt_status want = skew < -30 ? JWT_NOT_YET_VALID : skew < 30 ? JWT_VALID : JWT_EXPIRED;
    assert_int_equal(verify_with(t, keys, &policy, NOW + skew, &e), want);
  }
}

/* row 186: 2038 is an ordinary year. */
static void the_year_2038_is_ordinary(void **state)
{
  (void)state;
  AUTO_FREE char *t = signer_token(&ec, "{" BASE ",\"iat\":2147483640,\"exp\":2147483700}");
  for (int64_t now = 2147483645; now <= 2147483650; now++) {
    struct err e = {""};
    assert_int_equal(verify_with(t, keys, &policy, now, &e), JWT_VALID);
  }
}

/* ------------------------------------------------------------------ form */

static char *parts(const char *header, const char *payload, const char *signature)
{
  char *t;
  if (asprintf(&t, "%s.%s.%s", header, payload, signature) < 0)
    fail();
  return t;
}

static void texts_that_are_no_jwt(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "", ".", "..", "...", "....", "a", "a.b", "a.b.c.d", "a.b.c.d.e", ".b.c", "..c", ".b.",
  };
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    struct err e = {""};
    assert_int_equal(verify_with(texts[i], keys, &policy, NOW, &e), JWT_NOT_A_JWT);
  }
}

/* The parts of one good token, to be spoilt. */
static char good[4096];
static char *head, *body, *sig;

static void split_good(const struct signer *s)
{
  char *t = signer_token(s, GOOD);
  snprintf(good, sizeof good, "%s", t);
  free(t);
  head = good;
  body = strchr(head, '.');
  *body++ = 0;
  sig = strchr(body, '.');
  *sig++ = 0;
}

/* row 14: one value, one spelling, in every part. */
static void other_spellings_of_base64_are_malformed(void **state)
{
  (void)state;
  static const char *const appended[] = {"=", "==", " ", "\n", "\r\n", "\t",
                                         "A", "!",  "?", "/",  "+"};
  split_good(&rsa);
  for (int part = 0; part < 3; part++)
    for (size_t i = 0; i < ARRAY_SIZE(appended); i++)
      for (int front = 0; front < 2; front++) {
        char spoilt[2048], *p[3] = {head, body, sig};
        snprintf(spoilt, sizeof spoilt, "%s%s", front ? appended[i] : p[part],
                 front ? p[part] : appended[i]);
        p[part] = spoilt;
        AUTO_FREE char *t = parts(p[0], p[1], p[2]);
        struct err e = {""};
        assert_int_not_equal(verify_with(t, keys, &policy, NOW, &e), JWT_VALID);
      }
}

/* row 14: the bits that the last character has too many must be zero. */
static void stray_bits_are_malformed(void **state)
{
  (void)state;
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned tried = 0;
  split_good(&rsa);
  for (int part = 0; part < 3; part++) {
    char *p[3] = {head, body, sig}, *last = p[part] + strlen(p[part]) - 1, was = *last;
    size_t over = strlen(p[part]) % 4; /* 2: four stray bits; 3: two; 0: none */
    int place = (int)(strchr(alphabet, was) - alphabet), stray = over == 2 ? 16 : over == 3 ? 4 : 1;
    for (int bits = 1; bits < stray; bits++) {
      *last = alphabet[place | bits];
      AUTO_FREE char *t = parts(p[0], p[1], p[2]);
      expect(14, "stray bits", t, JWT_MALFORMED);
      tried++;
    }
    *last = was;
  }
  assert_true(tried >= 3);
}

/* Every single character of a token matters. */
static void no_character_can_be_changed(void **state)
{
  (void)state;
  AUTO_FREE char *t = signer_token(&ec, GOOD);
  for (size_t i = 0; t[i]; i++) {
    struct err e = {""};
    char was = t[i];
    t[i] = was == 'A' ? 'B' : 'A';
    assert_int_not_equal(verify_with(t, keys, &policy, NOW, &e), JWT_VALID);
    t[i] = was;
  }
  expect(0, "unchanged", t, JWT_VALID);
}

static void a_token_past_8_kib_is_malformed(void **state)
{
  (void)state;
  for (size_t n = 5000; n < 7000; n += 100) {
    struct buf payload;
    buf_init(&payload, 20000);
    buf_puts(&payload, "{" BASE "," EXP ",\"x\":\"");
    for (size_t i = 0; i < n; i++)
      buf_putc(&payload, 'x');
    buf_puts(&payload, "\"}");
    AUTO_FREE char *t = signer_token(&ec, payload.p);
    expect(12, "length", t, strlen(t) <= LIMIT_CREDENTIAL ? JWT_VALID : JWT_MALFORMED);
    buf_done(&payload);
  }
}

/* row 12: many small values. */
static void too_many_values_are_malformed(void **state)
{
  (void)state;
  struct buf payload;
  buf_init(&payload, 20000);
  buf_puts(&payload, "{" BASE "," EXP ",\"x\":[0");
  for (int i = 0; i < 2500; i++)
    buf_puts(&payload, ",0");
  buf_puts(&payload, "]}");
  AUTO_FREE char *t = signer_token(&ec, payload.p);
  assert_true(strlen(t) <= LIMIT_CREDENTIAL);
  expect(12, "values", t, JWT_MALFORMED);
  buf_done(&payload);
}

/* ------------------------------------------------------------------ signatures */

static char *with_signature(const struct signer *s, const void *bytes, size_t n)
{
  struct buf b;
  buf_init(&b, 64 * 1024);
  base64url_encode(&b, (struct str){bytes, n});
  split_good(s);
  char *t = parts(head, body, b.p ? b.p : "");
  buf_done(&b);
  return t;
}

/* row 6: every length from 0 to 24 KiB, for every kind of key; only memory checkers see more. */
static void signatures_of_every_length_are_refused(void **state)
{
  (void)state;
  static unsigned char bytes[24 * 1024];
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  memset(bytes, 0x55, sizeof bytes);
  for (size_t k = 0; k < ARRAY_SIZE(signers); k++) {
    AUTO_FREE char *all = with_signature(signers[k], bytes, sizeof bytes);
    size_t dot = (size_t)(strrchr(all, '.') - all) + 1, end = strlen(all);
    for (size_t n = 0; dot + n <= end; n++) {
      struct err e = {""};
      char was = all[dot + n];
      all[dot + n] = 0;
      enum jwt_status got = verify_with(all, keys, &policy, NOW, &e);
      assert_true(got == JWT_BAD_SIGNATURE || got == JWT_MALFORMED);
      all[dot + n] = was;
    }
  }
}

/* row 6: special values of r and s, and the DER form. */
static void special_ecdsa_values_are_refused(void **state)
{
  (void)state;
  static const char n_hex[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
  static const char p_hex[] = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
  unsigned char values[6][32] = {{0}};
  size_t len;
  values[1][31] = 1;
  hex_decode(str_of(n_hex), values[2], 32, &len);
  memcpy(values[3], values[2], 32);
  values[3][31]--; /* n - 1 */
  hex_decode(str_of(p_hex), values[4], 32, &len);
  memset(values[5], 0xff, 32);
  for (int r = 0; r < 6; r++)
    for (int s = 0; s < 6; s++) {
      unsigned char both[64];
      memcpy(both, values[r], 32);
      memcpy(both + 32, values[s], 32);
      AUTO_FREE char *t = with_signature(&ec, both, sizeof both);
      expect(6, "r and s", t, JWT_BAD_SIGNATURE);
    }
}

static void der_signatures_are_refused(void **state)
{
  (void)state;
  unsigned char der[256];
  size_t n = sizeof der;
  split_good(&ec);
  AUTO_FREE char *data = NULL;
  assert_true(asprintf(&data, "%s.%s", head, body) > 0);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ec.key), 1);
  assert_int_equal(EVP_DigestSign(ctx, der, &n, (unsigned char *)data, strlen(data)), 1);
  EVP_MD_CTX_free(ctx);
  struct buf b;
  buf_init(&b, 1024);
  base64url_encode(&b, (struct str){(char *)der, n});
  AUTO_FREE char *t = parts(head, body, b.p);
  expect(6, "DER", t, JWT_BAD_SIGNATURE);
  buf_done(&b);
}

/* row 2: HS256 keyed with the public key, in every form that it can be had. */
static void the_public_key_is_no_secret(void **state)
{
  (void)state;
  struct str forms[4];
  char *pem = NULL, *modulus = NULL;
  unsigned char *der = NULL;
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, rsa.key);
  long pem_n = BIO_get_mem_data(bio, &pem);
  int der_n = i2d_PUBKEY(rsa.key, &der);
  json_t *jwk = jwt_jwk_of(rsa.key, false, NULL);
  AUTO_FREE char *jwk_text = json_dumps(jwk, JSON_COMPACT);
  modulus = strdup(json_string_value(json_object_get(jwk, "n")));
  forms[0] = (struct str){pem, (size_t)pem_n};
  forms[1] = (struct str){(char *)der, (size_t)der_n};
  forms[2] = str_of(jwk_text);
  forms[3] = str_of(modulus);
  for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
    for (int named = 0; named < 2; named++) {
      struct signer s = {.alg = ALG_HS256, .kid = named ? "rsa" : NULL, .secret = forms[i]};
      AUTO_FREE char *t = signer_token(&s, GOOD);
      struct err e = {""};
      expect(2, "confusion", t, JWT_WRONG_ALGORITHM);
      /* and it cannot be configured as a secret: the modulus alone looks like one */
      if (i < 3)
        assert_null(jwks_of_secret(forms[i], &e));
    }
  free(modulus);
  json_decref(jwk);
  OPENSSL_free(der);
  BIO_free(bio);
}

static void secrets_take_hs_and_nothing_else(void **state)
{
  (void)state;
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  struct err e = {""};
  for (int alg = ALG_HS256; alg <= ALG_HS512; alg++) {
    struct signer s = {.alg = (enum jwt_alg)alg, .secret = hs.secret};
    AUTO_FREE char *t = signer_token(&s, GOOD);
    assert_int_equal(verify_with(t, secret, &policy, NOW, &e), JWT_VALID);
    assert_int_equal(verify_with(t, keys, &policy, NOW, &e), JWT_WRONG_ALGORITHM);
  }
  for (size_t i = 0; i < ARRAY_SIZE(signers); i++) {
    AUTO_FREE char *t = signer_token(signers[i], GOOD);
    assert_int_equal(verify_with(t, secret, &policy, NOW, &e), JWT_WRONG_ALGORITHM);
  }
}

/* row 2: every algorithm against every key: only its own. */
static void algorithms_are_bound_to_keys(void **state)
{
  (void)state;
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  for (size_t k = 0; k < ARRAY_SIZE(signers); k++)
    for (int alg = ALG_RS256; alg < ALG_COUNT; alg++) {
      char header[128];
      struct err e = {""};
      snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}",
               jwt_alg_name((enum jwt_alg)alg), signers[k]->kid);
      AUTO_FREE char *t = signer_raw(signers[k], signers[k]->alg, str_of(header), str_of(GOOD));
      enum jwt_status got = verify_with(t, keys, &policy, NOW, &e);
      assert_int_equal(got == JWT_VALID, alg == (int)signers[k]->alg);
    }
}

/* row 4: the kid of another issuer's set means nothing here. */
static void kids_do_not_cross_sets(void **state)
{
  (void)state;
  struct signer other = signer_make(ALG_ES256, "ec");
  AUTO_FREE char *t = signer_token(&other, GOOD);
  expect(4, "same kid, other set", t, JWT_BAD_SIGNATURE);
  signer_done(&other);
}

static void a_key_in_the_header_is_not_used(void **state)
{
  (void)state;
  struct signer own = signer_make(ALG_ES256, NULL);
  json_t *jwk = jwt_jwk_of(own.key, false, NULL);
  static const char *const kids[] = {NULL, "ec", "own"};
  static const enum jwt_status wants[] = {JWT_BAD_SIGNATURE, JWT_BAD_SIGNATURE, JWT_UNKNOWN_KEY};
  for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
    json_t *h = json_pack("{sssOss*}", "alg", "ES256", "jwk", jwk, "kid", kids[i]);
    AUTO_FREE char *header = json_dumps(h, 0);
    AUTO_FREE char *t = signer_raw(&own, ALG_ES256, str_of(header), str_of(GOOD));
    expect(3, "jwk in the header", t, wants[i]);
    json_decref(h);
  }
  json_decref(jwk);
  signer_done(&own);
}

static void without_a_kid_several_keys_are_too_many(void **state)
{
  (void)state;
  struct signer two[] = {signer_make(ALG_ES256, "a"), signer_make(ALG_ES256, "b")};
  AUTO_FREE char *text = signers_jwks(two, 2);
  struct err e = {""};
  struct jwks *both = jwks_parse(str_of(text), false, &e);
  two[0].kid = NULL;
  AUTO_FREE char *t = signer_token(&two[0], GOOD);
  assert_int_equal(verify_with(t, both, &policy, NOW, &e), JWT_MALFORMED);
  jwks_free(both);
  signer_done(&two[0]);
  signer_done(&two[1]);
}

/* ------------------------------------------------------------------ the unverified issuer */

static void the_issuer_that_is_peeked_at_is_the_one_that_is_parsed(void **state)
{
  (void)state;
  static const struct {
    const char *payload, *want;
  } cases[] = {
      {GOOD, ISS},
      {"{\"x\":\"iss\",\"iss\":\"a\"}", "a"},
      {"{\"x\":{\"iss\":\"no\"},\"y\":[\"}\",{\"iss\":\"no\"}],\"iss\":\"a\"}", "a"},
      {"{\"x\":\"\\\",\\\"iss\\\":\\\"no\",\"iss\":\"a\"}", "a"},
      {"{ \"iss\" :\t\"a\" }", "a"},
      {"{\"\\u0069ss\":\"a\"}", "a"},
      {"{\"iss\":\"\\u0061\"}", "a"},
      {"{\"iss\":\"\"}", NULL},
      {"{\"iss\":1}", NULL},
      {"{\"iss\":[\"a\"]}", NULL},
      {"{\"ISS\":\"a\"}", NULL},
      {"{}", NULL},
      {"[\"iss\",\"a\"]", NULL},
      {"\"iss\"", NULL},
      {"{\"iss\"", NULL},
      {"{\"iss\":", NULL},
      {"{\"iss\":\"a", NULL},
      {"{\"x\":{", NULL},
      {"", NULL},
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    char out[64] = "";
    AUTO_FREE char *t = signer_token(&ec, cases[i].payload);
    int got = jwt_issuer(str_of(t), out, sizeof out);
    if ((got == 0) != (cases[i].want != NULL) || (cases[i].want && strcmp(out, cases[i].want) != 0))
      fail_msg("%s: %d '%s'", cases[i].payload, got, out);
  }
}

static void an_issuer_that_does_not_fit_is_none(void **state)
{
  (void)state;
  char out[sizeof ISS];
  AUTO_FREE char *t = signer_token(&ec, GOOD);
  assert_int_equal(jwt_issuer(str_of(t), out, sizeof out), 0);
  assert_int_equal(jwt_issuer(str_of(t), out, sizeof out - 1), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_headers),
      cmocka_unit_test(hostile_payloads),
      cmocka_unit_test(a_nul_byte_anywhere_is_malformed),
      cmocka_unit_test(policies_are_kept),
      cmocka_unit_test(tokens_pass_at_their_own_service_only),
      cmocka_unit_test(clocks_may_differ_by_the_leeway),
      cmocka_unit_test(the_year_2038_is_ordinary),
      cmocka_unit_test(texts_that_are_no_jwt),
      cmocka_unit_test(other_spellings_of_base64_are_malformed),
      cmocka_unit_test(stray_bits_are_malformed),
      cmocka_unit_test(no_character_can_be_changed),
      cmocka_unit_test(a_token_past_8_kib_is_malformed),
      cmocka_unit_test(too_many_values_are_malformed),
      cmocka_unit_test(signatures_of_every_length_are_refused),
      cmocka_unit_test(special_ecdsa_values_are_refused),
      cmocka_unit_test(der_signatures_are_refused),
      cmocka_unit_test(the_public_key_is_no_secret),
      cmocka_unit_test(secrets_take_hs_and_nothing_else),
      cmocka_unit_test(algorithms_are_bound_to_keys),
      cmocka_unit_test(kids_do_not_cross_sets),
      cmocka_unit_test(a_key_in_the_header_is_not_used),
      cmocka_unit_test(without_a_kid_several_keys_are_too_many),
      cmocka_unit_test(the_issuer_that_is_peeked_at_is_the_one_that_is_parsed),
      cmocka_unit_test(an_issuer_that_does_not_fit_is_none),
  };
  struct err e = {""};
  rsa = signer_make(ALG_RS256, "rsa");
  ec = signer_make(ALG_ES256, "ec");
  ed = signer_make(ALG_EDDSA, "ed");
  hs = signer_make(ALG_HS256, NULL);
  const struct signer all[] = {rsa, ec, ed};
  char *text = signers_jwks(all, ARRAY_SIZE(all));
  keys = jwks_parse(str_of(text), false, &e);
  secret = jwks_of_secret(hs.secret, &e);
  int failed = keys == NULL || secret == NULL || cmocka_run_group_tests(tests, NULL, NULL);
  printf("hostile corpus: %zu headers, %zu payloads, %u tokens in all\n", ARRAY_SIZE(headers),
         ARRAY_SIZE(payloads), tokens);
  free(text);
  jwks_free(keys);
  jwks_free(secret);
  signer_done(&rsa);
  signer_done(&ec);
  signer_done(&ed);
  return failed;
}
