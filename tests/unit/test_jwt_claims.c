/* Hostile tokens whose signature is right: headers, claims, policies, times (rows 1 to 17, 24, 183,
 * 186).  Each table entry names the row that it is about. */
#include "jwt_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

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

/* row 4 */
static void kids_have_256_bytes_at_most(void **state)
{
  (void)state;
  static const int lengths[] = {256, 257, 4000};
  for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
    char header[4200];
    snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"%0*d\"}", lengths[i], 0);
    AUTO_FREE char *t = signer_raw(&rsa, ALG_RS256, str_of(header), str_of(GOOD));
    expect(4, "long kid", t, lengths[i] == 256 ? JWT_UNKNOWN_KEY : JWT_MALFORMED);
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

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_headers),
      cmocka_unit_test(hostile_payloads),
      cmocka_unit_test(kids_have_256_bytes_at_most),
      cmocka_unit_test(a_nul_byte_anywhere_is_malformed),
      cmocka_unit_test(policies_are_kept),
      cmocka_unit_test(tokens_pass_at_their_own_service_only),
      cmocka_unit_test(clocks_may_differ_by_the_leeway),
      cmocka_unit_test(the_year_2038_is_ordinary),
  };
  return jwt_world_run(tests);
}
