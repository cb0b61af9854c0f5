/* bearer-jwt before a host that is played here: options, whose token, what becomes of its claims.
 * Rows 2, 10, 17, 23, 24; the provider's source is part of this program. */
#include "../../plugins/bearer-jwt/bearer-jwt.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/jwt.h"
#include "auth/member.h"
#include "util/arena.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

#define ISS      "https://idp.example"
#define RESOURCE "https://mcp.example/notes"

/* ------------------------------------------------------------------ the host */

static struct arena *arena;
static char reported[64], refused[256];
static json_t *token_claims, *set; /* what set_claim was told */
static struct mcpauth_principal who;
static bool has_principal;
static struct mcpauth_jwt_policy asked;
static char asked_audience[64];
static struct mcpauth_keyset_source opened;
static enum mcpauth_result keys_say;

static int fake_report(struct mcpauth_instance *self, const char *option, const char *format, ...)
{
  (void)self;
  assert_true(*format);
  snprintf(reported, sizeof reported, "%s", option ? option : "-");
  return -1;
}

__attribute__((format(printf, 4, 5))) static enum mcpauth_result
fake_refuse(struct mcpauth_request *rq, enum mcpauth_result result, enum mcpauth_why why,
            const char *format, ...)
{
  va_list ap;
  (void)rq, (void)why;
  va_start(ap, format);
  vsnprintf(refused, sizeof refused, format, ap);
  va_end(ap);
  return result;
}

static const struct mcpauth_facts *fake_facts(struct mcpauth_request *rq)
{
  static const struct mcpauth_facts facts = {.resource = RESOURCE};
  (void)rq;
  return &facts;
}

static const struct mcpauth_credential *fake_credential(struct mcpauth_request *rq)
{
  static const struct mcpauth_credential c = {MCPAUTH_FROM_BEARER, "", {"x", 1}};
  (void)rq;
  return &c;
}

static int fake_set_principal(struct mcpauth_request *rq, const struct mcpauth_principal *p)
{
  (void)rq;
  who = *p;
  const char **v = arena_array(arena, p->scopes.n ? p->scopes.n : 1, sizeof *v);
  for (size_t i = 0; i < p->scopes.n; i++)
    v[i] = arena_dup(arena, str_of(p->scopes.v[i]));
  who.scopes.v = v;
  has_principal = true;
  return 0;
}

static int fake_set_claim(struct mcpauth_request *rq, const char *pointer, const char *json)
{
  (void)rq;
  assert_int_equal(pointer[0], '/');
  return json_object_set_new(set, pointer, json_loads(json, JSON_DECODE_ANY, NULL));
}

static struct mcpauth_value fake_claim(const struct mcpauth_claims *claims, const char *pointer)
{
  const json_t *j = json_pointer(token_claims, str_of(pointer));
  assert_ptr_equal(claims, token_claims);
  struct mcpauth_value v = {.type = MCPAUTH_ABSENT};
  if (json_is_string(j))
    v = (struct mcpauth_value){MCPAUTH_TEXT, json_string_value(j), 0, json_string_length(j)};
  else if (json_is_number(j))
    v = (struct mcpauth_value){MCPAUTH_NUMBER, NULL, json_number_value(j), 0};
  else if (json_is_array(j))
    v = (struct mcpauth_value){MCPAUTH_ARRAY, NULL, 0, json_array_size(j)};
  else if (j)
    v.type = json_is_true(j)     ? MCPAUTH_TRUE
             : json_is_false(j)  ? MCPAUTH_FALSE
             : json_is_object(j) ? MCPAUTH_OBJECT
                                 : MCPAUTH_NULL;
  return v;
}

static int fake_scopes(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                       const char *pointer, struct mcpauth_list *ret)
{
  (void)rq;
  assert_ptr_equal(claims, token_claims);
  return member_scopes(json_pointer(token_claims, str_of(pointer)), arena, ret);
}

static const char *fake_claim_json(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                                   const char *pointer)
{
  const json_t *j = json_pointer(token_claims, str_of(pointer));
  assert_ptr_equal(claims, token_claims);
  (void)rq;
  if (j == NULL)
    return NULL;
  char *text = json_dumps(j, JSON_ENCODE_ANY), *copy = arena_dup(arena, str_of(text));
  free(text);
  return copy;
}

static struct mcpauth_keyset *fake_keyset(struct mcpauth_instance *self,
                                          const struct mcpauth_keyset_source *source)
{
  (void)self;
  opened = *source;
  return (struct mcpauth_keyset *)(void *)&opened;
}

static enum mcpauth_result fake_jwt_verify(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                                           const struct mcpauth_jwt_policy *p,
                                           struct mcpauth_bytes token, mcpauth_jwt_fn *then,
                                           void *arg)
{
  assert_ptr_equal(keys, &opened);
  assert_int_equal(token.n, 1);
  asked = *p;
  snprintf(asked_audience, sizeof asked_audience, "%s", p->audiences.v[0]);
  return then(rq, arg, keys_say,
              keys_say == MCPAUTH_OK ? (struct mcpauth_claims *)(void *)token_claims : NULL);
}

static int fake_jwt_issuer(struct mcpauth_bytes token, char *out, size_t size)
{
  return jwt_issuer((struct str){token.p, token.n}, out, size);
}

static const struct mcpauth_host fake = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_host),
    .report = fake_report,
    .refuse = fake_refuse,
    .facts = fake_facts,
    .credential = fake_credential,
    .set_principal = fake_set_principal,
    .set_claim = fake_set_claim,
    .claim = fake_claim,
    .claim_json = fake_claim_json,
    .scopes = fake_scopes,
    .keyset = fake_keyset,
    .jwt_verify = fake_jwt_verify,
    .jwt_issuer = fake_jwt_issuer,
};

/* ------------------------------------------------------------------ one instance */

static const char *const one_issuer[] = {ISS};
static struct config config;

static int setup(void **state)
{
  (void)state;
  host = &fake;
  arena = arena_new(1 << 20);
  set = json_object();
  token_claims = NULL;
  has_principal = false;
  refused[0] = reported[0] = 0;
  keys_say = MCPAUTH_OK;
  config = (struct config){.issuers = {1, one_issuer},
                           .subject_claim = "/sub",
                           .leeway = 30000,
                           .max_lifetime = 86400000,
                           .reuse = 300000};
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  arena_free(arena);
  json_decref(set);
  json_decref(token_claims);
  return 0;
}

/* The answer to a token of these claims; the usual ones are added. */
static enum mcpauth_result answer(const char *more)
{
  void *instance = NULL;
  json_error_t je;
  json_decref(token_claims);
  json_object_clear(set);
  has_principal = false;
  refused[0] = 0;
  token_claims = json_pack("{sssssI}", "iss", ISS, "sub", "ann", "exp", (json_int_t)1800000600);
  json_t *j = json_loads(more, 0, &je);
  if (j == NULL)
    fail_msg("%s: %s", more, je.text);
  json_object_update(token_claims, j);
  json_decref(j);
  assert_int_equal(start(&fake, NULL, &config, &instance), 0);
  enum mcpauth_result r = verify(NULL, &config, instance);
  free(instance);
  assert_int_equal(has_principal, r == MCPAUTH_OK);
  return r;
}

static void assert_scopes(const char *more, const char *want)
{
  char got[512] = "";
  assert_int_equal(answer(more), MCPAUTH_OK);
  for (size_t i = 0; i < who.scopes.n; i++) {
    size_t n = strlen(got);
    snprintf(got + n, sizeof got - n, "%s%s", i ? "," : "", who.scopes.v[i]);
  }
  assert_string_equal(got, want);
}

/* ------------------------------------------------------------------ tests */

static void a_verified_token_becomes_a_principal(void **state)
{
  (void)state;
  assert_int_equal(answer("{\"client_id\":\"cli\",\"azp\":\"other\",\"scope\":\"a b\"}"),
                   MCPAUTH_OK);
  assert_string_equal(who.issuer, ISS);
  assert_string_equal(who.subject, "ann");
  assert_string_equal(who.client, "cli");
  assert_int_equal(who.expires_at, 1800000630); /* with the leeway */
  assert_int_equal(who.reuse_ms, 300000);
  assert_int_equal(json_object_size(set), 0); /* nothing is copied unasked */
}

static void the_client_is_the_authorized_party_else(void **state)
{
  (void)state;
  answer("{\"azp\":\"other\"}");
  assert_string_equal(who.client, "other");
  answer("{\"client_id\":5}");
  assert_null(who.client);
  config.client_claim = "/cid";
  answer("{\"azp\":\"other\",\"cid\":\"mine\"}");
  assert_string_equal(who.client, "mine");
  answer("{\"azp\":\"other\"}");
  assert_null(who.client);
}

static void the_subject_must_be_there(void **state)
{
  (void)state;
  assert_int_equal(answer("{\"sub\":null}"), MCPAUTH_INVALID);
  assert_int_equal(answer("{\"sub\":[\"ann\"]}"), MCPAUTH_INVALID);
  config.subject_claim = "/oid";
  assert_int_equal(answer("{}"), MCPAUTH_INVALID);
  assert_int_equal(answer("{\"oid\":\"o-1\"}"), MCPAUTH_OK);
  assert_string_equal(who.subject, "o-1");
}

static void what_the_keys_say_is_the_answer(void **state)
{
  (void)state;
  static const enum mcpauth_result results[] = {MCPAUTH_INVALID, MCPAUTH_UNAVAIL, MCPAUTH_IGNORE,
                                                MCPAUTH_ERROR};
  for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
    keys_say = results[i];
    assert_int_equal(answer("{}"), results[i]);
  }
}

/* row 17 */
static void scopes_are_words_between_spaces(void **state)
{
  (void)state;
  assert_scopes("{}", "");
  assert_scopes("{\"scope\":\"\"}", "");
  assert_scopes("{\"scope\":\"a\"}", "a");
  assert_scopes("{\"scope\":\"a b c\"}", "a,b,c");
  assert_scopes("{\"scope\":\" a  b \"}", "a,b");
  assert_scopes("{\"scope\":\"a,b\"}", "a,b"); /* one word: a comma is a character like others */
  assert_int_equal(who.scopes.n, 1);
  assert_scopes("{\"scope\":\"A a\"}", "A,a");
  assert_scopes("{\"scope\":\"notes:read https://x/y.z\"}", "notes:read,https://x/y.z");
  assert_scopes("{\"scp\":\"a b\"}", "a,b");
  assert_scopes("{\"scope\":\"a\",\"scp\":\"b\"}", "a");
  assert_scopes("{\"scope\":[\"a\",\"b\"]}", "a,b");
  assert_scopes("{\"scp\":[\"a\",\"b\"]}", "a,b");
  assert_scopes("{\"scp\":[]}", "");
  assert_scopes("{\"scope\":\"\",\"scp\":\"b\"}", "");
  assert_scopes("{\"SCOPE\":\"a\",\"permissions\":[\"b\"]}", "");
}

/* row 17 */
static void scopes_that_are_no_words_refuse_the_token(void **state)
{
  (void)state;
  static const char *const claims_of[] = {
      "{\"scope\":\"a\\tb\"}",
      "{\"scope\":\"a\\nb\"}",
      "{\"scope\":\"a\\u00a0b\"}",
      "{\"scope\":\"a\\u2003b\"}",
      "{\"scope\":\"a\\\"b\"}",
      "{\"scope\":\"a\\\\b\"}",
      "{\"scope\":\"\\u007f\"}",
      "{\"scope\":\"\\u0001\"}",
      "{\"scope\":\"\xc3\xa9\"}",
      "{\"scope\":1}",
      "{\"scope\":true}",
      "{\"scope\":null}",
      "{\"scope\":{\"a\":1}}",
      "{\"scope\":[\"a b\"]}",
      "{\"scope\":[\"\"]}",
      "{\"scope\":[1]}",
      "{\"scope\":[[\"a\"]]}",
      "{\"scope\":[\"a\",null]}",
      "{\"scp\":5}",
      "{\"scope\":null,\"scp\":\"a\"}",
  };
  for (size_t i = 0; i < ARRAY_SIZE(claims_of); i++) {
    if (answer(claims_of[i]) != MCPAUTH_INVALID)
      fail_msg("%s was accepted", claims_of[i]);
    assert_string_equal(refused, "scopes are malformed");
  }
}

static void too_many_or_too_long_scopes_refuse_the_token(void **state)
{
  (void)state;
  for (int n = LIMIT_SCOPES; n <= LIMIT_SCOPES + 1; n++) {
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 65536);
    buf_puts(&b, "{\"scope\":\"");
    for (int i = 0; i < n; i++)
      buf_printf(&b, "s%d ", i);
    buf_puts(&b, "\"}");
    assert_int_equal(answer(b.p), n == LIMIT_SCOPES ? MCPAUTH_OK : MCPAUTH_INVALID);
  }
  for (int n = LIMIT_SCOPE; n <= LIMIT_SCOPE + 1; n++) {
    char text[256];
    snprintf(text, sizeof text, "{\"scope\":\"%0*d\"}", n, 0);
    assert_int_equal(answer(text), n == LIMIT_SCOPE ? MCPAUTH_OK : MCPAUTH_INVALID);
  }
}

static void assert_mapped(enum preset preset, const char *more, const char *want)
{
  config.preset = preset;
  assert_int_equal(answer(more), MCPAUTH_OK);
  AUTO_FREE char *got = json_dumps(set, JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(got, want);
}

static void presets_fill_role_tenant_groups_and_email(void **state)
{
  (void)state;
  assert_mapped(KEYCLOAK, "{\"realm_access\":{\"roles\":[\"admin\"]},\"groups\":[\"/g\"]}",
                "{\"/groups\":[\"/g\"],\"/role\":[\"admin\"]}");
  assert_mapped(ENTRA, "{\"roles\":[\"r\"],\"tid\":\"t\",\"groups\":[\"g\"]}",
                "{\"/groups\":[\"g\"],\"/role\":[\"r\"],\"/tenant\":\"t\"}");
  assert_mapped(AUTH0, "{\"org_id\":\"o\",\"permissions\":[\"p\"]}",
                "{\"/permissions\":[\"p\"],\"/tenant\":\"o\"}");
  assert_mapped(COGNITO, "{\"cognito:groups\":[\"g\"],\"token_use\":\"access\"}",
                "{\"/groups\":[\"g\"]}");
  assert_mapped(WORKOS, "{\"role\":\"member\",\"org_id\":\"o\",\"permissions\":[]}",
                "{\"/permissions\":[],\"/role\":\"member\",\"/tenant\":\"o\"}");
  assert_mapped(GOOGLE, "{\"hd\":\"example.com\"}", "{\"/tenant\":\"example.com\"}");
  assert_mapped(NONE, "{\"role\":\"r\",\"groups\":[\"g\"],\"tid\":\"t\"}", "{}");
}

/* row 24 */
static void an_email_counts_when_it_was_verified(void **state)
{
  (void)state;
  static const char *const not_verified[] = {"false", "\"true\"", "1", "null", "[true]"};
  char more[128];
  for (int p = KEYCLOAK; p <= GOOGLE; p++) {
    assert_mapped((enum preset)p,
                  "{\"email\":\"a@b\",\"email_verified\":true,\"token_use\":\"access\"}",
                  "{\"/email\":\"a@b\"}");
    assert_mapped((enum preset)p, "{\"email\":\"a@b\",\"token_use\":\"access\"}", "{}");
    for (size_t i = 0; i < ARRAY_SIZE(not_verified); i++) {
      snprintf(more, sizeof more,
               "{\"email\":\"a@b\",\"token_use\":\"access\",\"email_verified\":%s}",
               not_verified[i]);
      assert_mapped((enum preset)p, more, "{}");
    }
  }
  assert_mapped(NONE, "{\"email\":\"a@b\",\"email_verified\":true}", "{}");
}

static void explicit_maps_win(void **state)
{
  (void)state;
  static const char *const map[] = {
      "/https:~1~1x.example~1roles", "/role", "/nested/0/team", "/team", "/absent", "/groups"};
  config.map = (struct mcpauth_list){6, map};
  assert_mapped(WORKOS,
                "{\"role\":\"member\",\"https://x.example/roles\":[\"owner\"],"
                "\"nested\":[{\"team\":7}]}",
                "{\"/role\":[\"owner\"],\"/team\":7}");
}

/* row 11: the ID tokens of Cognito tell themselves apart in a claim. */
static void cognito_takes_access_tokens_only(void **state)
{
  (void)state;
  config.preset = COGNITO;
  assert_int_equal(answer("{\"token_use\":\"access\"}"), MCPAUTH_OK);
  assert_int_equal(answer("{\"token_use\":\"id\"}"), MCPAUTH_INVALID);
  assert_int_equal(answer("{\"token_use\":[\"access\"]}"), MCPAUTH_INVALID);
  assert_int_equal(answer("{}"), MCPAUTH_INVALID);
}

/* row 10 */
static void the_audience_is_the_service_unless_stated(void **state)
{
  (void)state;
  static const char *const other[] = {"api://notes"};
  answer("{}");
  assert_int_equal(asked.audiences.n, 1);
  assert_string_equal(asked_audience, RESOURCE);
  config.audiences = (struct mcpauth_list){1, other};
  answer("{}");
  assert_int_equal(asked.audiences.n, 1);
  assert_string_equal(asked_audience, "api://notes");
  assert_int_equal(asked.leeway_ms, 30000);
  assert_int_equal(asked.max_lifetime_ms, 86400000);
  assert_string_equal(asked.issuers.v[0], ISS);
}

static void keys_are_discovered_without_another_source(void **state)
{
  (void)state;
  answer("{}");
  assert_string_equal(opened.issuer, ISS);
  config.key_file = "/keys";
  answer("{}");
  assert_null(opened.issuer);
  assert_string_equal(opened.file, "/keys");
}

static bool is_claimed(enum mcpauth_source source, const char *payload)
{
  struct buf b;
  buf_init(&b, 8192);
  buf_puts(&b, "eyJhbGciOiJSUzI1NiJ9.");
  base64url_encode(&b, str_of(payload));
  buf_puts(&b, ".c2ln");
  struct mcpauth_credential c = {source, "", {b.p, b.n}};
  bool mine = claims(&config, NULL, &c);
  buf_done(&b);
  return mine;
}

/* row 23 */
static void a_credential_is_ours_by_its_issuer(void **state)
{
  (void)state;
  static const struct mcpauth_credential opaque = {MCPAUTH_FROM_BEARER, "", {"mcpa_abc", 8}};
  assert_true(is_claimed(MCPAUTH_FROM_BEARER, "{\"iss\":\"" ISS "\"}"));
  assert_true(is_claimed(MCPAUTH_FROM_HEADER, "{\"iss\":\"" ISS "\"}"));
  assert_false(is_claimed(MCPAUTH_FROM_BASIC, "{\"iss\":\"" ISS "\"}"));
  assert_false(is_claimed(MCPAUTH_FROM_BEARER, "{\"iss\":\"" ISS "/\"}"));
  assert_false(is_claimed(MCPAUTH_FROM_BEARER, "{\"iss\":\"https://idp.exampl\"}"));
  assert_false(is_claimed(MCPAUTH_FROM_BEARER, "{\"iss\":[\"" ISS "\"]}"));
  assert_false(is_claimed(MCPAUTH_FROM_BEARER, "{}"));
  assert_false(claims(&config, NULL, &opaque));
}

/* ------------------------------------------------------------------ check */

static void assert_checked(const char *want)
{
  reported[0] = 0;
  int bad = check(&fake, NULL, &config);
  assert_int_equal(bad, *want ? -1 : 0);
  assert_string_equal(reported, want);
  setup(NULL); /* leaks no more than this test's arena */
}

static void options_that_contradict_each_other_are_refused(void **state)
{
  (void)state;
  static const char *const http[] = {"http://idp.example"},
                           *const near[] = {"http://localhost.evil"}, *const word[] = {"idp"},
                           *const local[] = {"http://127.0.0.1:8080/r"},
                           *const two[] = {ISS, "https://b"}, *const hs[] = {"HS256"},
                           *const rs[] = {"RS256"}, *const none[] = {"none"},
                           *const low[] = {"rs256"};
  const struct mcpauth_secret *s = (const struct mcpauth_secret *)(const void *)&config;
#define CHECK(want, ...)                                                                           \
  do {                                                                                             \
    __VA_ARGS__;                                                                                   \
    struct arena *a = arena;                                                                       \
    json_t *j = set;                                                                               \
    assert_checked(want);                                                                          \
    arena_free(a);                                                                                 \
    json_decref(j);                                                                                \
  } while (0)
#define LIST(words) ((struct mcpauth_list){ARRAY_SIZE(words), words})
  CHECK("", (void)0);
  CHECK("", config.issuers = LIST(local));
  CHECK("issuer", config.issuers = LIST(http));
  CHECK("issuer", config.issuers = LIST(near));
  CHECK("issuer", config.issuers = LIST(word));
  CHECK("issuer", config.issuers = LIST(two));
  CHECK("", config.issuers = LIST(two); config.key_file = "/dev/null");
  CHECK("-", config.jwks_uri = "https://k"; config.key_file = "/dev/null");
  CHECK("-", config.jwks_uri = "https://k"; config.shared_secret = s);
  CHECK("-", config.shared_secret = s; config.key_file = "/dev/null");
  CHECK("jwks_uri", config.jwks_uri = "http://idp.example/k");
  CHECK("", config.jwks_uri = "http://[::1]:8080/k");
  CHECK("algorithms", config.algorithms = LIST(none));
  CHECK("algorithms", config.algorithms = LIST(low));
  CHECK("algorithms", config.algorithms = LIST(hs)); /* row 2: without a secret */
  CHECK("algorithms", config.algorithms = LIST(rs); config.shared_secret = s);
  CHECK("", config.algorithms = LIST(hs); config.shared_secret = s);
  CHECK("", config.algorithms = LIST(rs));
  CHECK("subject_claim", config.subject_claim = "sub");
  CHECK("client_claim", config.client_claim = "azp");
}

static void maps_name_a_pointer_and_a_name(void **state)
{
  (void)state;
  static const char *const maps[][2] = {{"role", "/role"}, {"/role", "role"}, {"/role", "/"},
                                        {"/role", "/a/b"}, {"/role", "/a~b"}, {"/role", "/account"},
                                        {"/role", ""},     {"", "/role"}};
  for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
    CHECK("map", config.map = ((struct mcpauth_list){2, maps[i]}));
}

static void every_option_has_help_a_release_and_a_place_in_the_manual(void **state)
{
  (void)state;
  const char *top = getenv("srcdir");
  char path[512], item[64];
  static char manual[65536];
  snprintf(path, sizeof path, "%s/plugins/bearer-jwt/mcpauth-bearer-jwt.pod", top ? top : "..");
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  manual[fread(manual, 1, sizeof manual - 1, f)] = 0;
  fclose(f);
  for (const struct mcpauth_option *o = options; o->name; o++) {
    assert_true(strlen(o->help) > 20);
    assert_string_equal(o->since, "0.1");
    assert_true(o->offset < sizeof(struct config));
    snprintf(item, sizeof item, "B<%s> ", o->name);
    const char *found = strstr(manual, item);
    while (found && strncmp(found - 6, "=item ", 6) != 0 && strncmp(found - 2, ", ", 2) != 0)
      found = strstr(found + 1, item);
    if (found == NULL)
      fail_msg("option %s is not in the manual", o->name);
  }
  assert_ptr_equal(mcpauth_provider.provider, &provider);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_verified_token_becomes_a_principal),
      TEST(the_client_is_the_authorized_party_else),
      TEST(the_subject_must_be_there),
      TEST(what_the_keys_say_is_the_answer),
      TEST(scopes_are_words_between_spaces),
      TEST(scopes_that_are_no_words_refuse_the_token),
      TEST(too_many_or_too_long_scopes_refuse_the_token),
      TEST(presets_fill_role_tenant_groups_and_email),
      TEST(an_email_counts_when_it_was_verified),
      TEST(explicit_maps_win),
      TEST(cognito_takes_access_tokens_only),
      TEST(the_audience_is_the_service_unless_stated),
      TEST(keys_are_discovered_without_another_source),
      TEST(a_credential_is_ours_by_its_issuer),
      TEST(options_that_contradict_each_other_are_refused),
      TEST(maps_name_a_pointer_and_a_name),
      TEST(every_option_has_help_a_release_and_a_place_in_the_manual),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
