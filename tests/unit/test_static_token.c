/* static-token before a host that is played here: what the file may say, whose token, what becomes
 * of it.  The provider's source is part of this program, so that it and the command line's reader
 * of the same file (auth/tokenfile.h) can be held against each other. */
#include "../../plugins/static-token/static-token.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/member.h"
#include "auth/tokenfile.h"
#include "util/cleanup.h"
#include "util/json.h"

extern const struct mcpauth_host
    host_functions; /* auth/loader.h, whose `struct config` is another */

/* ------------------------------------------------------------------ the host */

static struct mcpauth_host fake;
static struct arena *arena;
static char said[512], refused[256], used[80];
static enum mcpauth_why refused_why;
static json_t *set_claims;
static struct {
  char issuer[200], subject[600], client[80], scopes[600];
  int64_t expires_at, reuse_ms;
} who;
static struct mcpauth_credential presented;
static const char *content; /* of the file */
static int (*changed_now)(void *arg, struct mcpauth_bytes content);
static void *changed_arg;
static int64_t now;

__attribute__((format(printf, 3, 4))) static void
fake_log(struct mcpauth_instance *self, enum mcpauth_level level, const char *format, ...)
{
  va_list ap;
  (void)self, (void)level;
  va_start(ap, format);
  vsnprintf(said, sizeof said, format, ap);
  va_end(ap);
}

__attribute__((format(printf, 3, 4))) static int
fake_report(struct mcpauth_instance *self, const char *option, const char *format, ...)
{
  va_list ap;
  (void)self;
  assert_string_equal(option, "file");
  va_start(ap, format);
  vsnprintf(said, sizeof said, format, ap);
  va_end(ap);
  return -1;
}

static const char *fake_name(const struct mcpauth_instance *self)
{
  (void)self;
  return "ci-tokens";
}

static struct mcpauth_instance *fake_self(struct mcpauth_request *rq)
{
  (void)rq;
  return NULL;
}

static const struct mcpauth_credential *fake_credential(struct mcpauth_request *rq)
{
  (void)rq;
  return &presented;
}

static int fake_set_principal(struct mcpauth_request *rq, const struct mcpauth_principal *p)
{
  (void)rq;
  snprintf(who.issuer, sizeof who.issuer, "%s", p->issuer);
  snprintf(who.subject, sizeof who.subject, "%s", p->subject);
  snprintf(who.client, sizeof who.client, "%s", p->client);
  who.scopes[0] = 0;
  for (size_t i = 0; i < p->scopes.n; i++)
    snprintf(who.scopes + strlen(who.scopes), sizeof who.scopes - strlen(who.scopes), "%s%s",
             i ? " " : "", p->scopes.v[i]);
  who.expires_at = p->expires_at;
  who.reuse_ms = p->reuse_ms;
  return 0;
}

static int fake_set_claims(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                           const char *pointer)
{
  (void)rq;
  json_t *object = json_pointer((json_t *)(uintptr_t)claims, str_of(pointer));
  return object ? json_object_update(set_claims, object) : 0;
}

static int fake_scopes(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                       const char *pointer, struct mcpauth_list *ret)
{
  (void)rq;
  return member_scopes(json_pointer((json_t *)(uintptr_t)claims, str_of(pointer)), arena, ret);
}

__attribute__((format(printf, 4, 5))) static enum mcpauth_result
fake_refuse(struct mcpauth_request *rq, enum mcpauth_result result, enum mcpauth_why why,
            const char *reason, ...)
{
  va_list ap;
  (void)rq;
  refused_why = why;
  va_start(ap, reason);
  vsnprintf(refused, sizeof refused, reason, ap);
  va_end(ap);
  return result;
}

static int64_t fake_now(void)
{
  return now;
}

static int fake_watch(struct mcpauth_instance *self, const char *path, size_t max,
                      int (*fn)(void *, struct mcpauth_bytes), void *arg)
{
  (void)self, (void)path, (void)max;
  changed_now = fn;
  changed_arg = arg;
  return fn(arg, (struct mcpauth_bytes){content, strlen(content)});
}

static void fake_count(struct mcpauth_request *rq, const char *key)
{
  (void)rq;
  snprintf(used, sizeof used, "%s", key);
}

static int setup(void **state)
{
  (void)state;
  fake = host_functions;
  fake.log = fake_log;
  fake.report = fake_report;
  fake.instance_name = fake_name;
  fake.self = fake_self;
  fake.credential = fake_credential;
  fake.set_principal = fake_set_principal;
  fake.set_claims = fake_set_claims;
  fake.scopes = fake_scopes;
  fake.refuse = fake_refuse;
  fake.now = fake_now;
  fake.watch_file = fake_watch;
  fake.count_use = fake_count;
  host = &fake;
  arena = arena_new(1 << 24);
  set_claims = json_object();
  said[0] = refused[0] = used[0] = 0;
  now = 1800000000;
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  json_decref(set_claims);
  arena_free(arena);
  return 0;
}

/* ------------------------------------------------------------------ tokens */

static char secret[2][TOKEN_SECRET + 1], hash_of[2][65];

static void make_secrets(void)
{
  struct err e = {""};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(token_secret_make(secret[i], &e), 0);
    token_secret_hash(str_of(secret[i]), hash_of[i]);
  }
}

static const struct config config = {.file = "/tokens"};

static void *started(const char *text)
{
  void *state = NULL;
  content = text;
  if (start(&fake, NULL, &config, &state) < 0)
    fail_msg("%s", said);
  return state;
}

/* A file of one token, with MORE members, its hash filled in. */
static const char *one(const char *more)
{
  static char text[2048];
  snprintf(text, sizeof text, "{\"id\":\"deploy\",\"sha256\":\"%s\",\"subject\":\"ci\"%s}\n",
           hash_of[0], more);
  return text;
}

static enum mcpauth_result present(void *state, const char *credential)
{
  presented = (struct mcpauth_credential){
      .source = MCPAUTH_FROM_BEARER, .name = "", .value = {credential, strlen(credential)}};
  memset(&who, 0, sizeof who);
  return verify(NULL, &config, state);
}

static void test_a_good_token_names_its_principal(void **state)
{
  (void)state;
  make_secrets();
  void *s = started(one(",\"scopes\":[\"notes:read\",\"notes:write\"],"
                        "\"claims\":{\"role\":\"admin\",\"teams\":[1,{\"a\":null}]},"
                        "\"expires\":\"2030-01-01T00:00:00Z\""));
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  assert_string_equal(who.issuer, "mcpauth:ci-tokens");
  assert_string_equal(who.subject, "ci");
  assert_string_equal(who.client, "deploy");
  assert_string_equal(who.scopes, "notes:read notes:write");
  assert_int_equal(who.expires_at, 1893456000); /* date -d 2030-01-01 +%s */
  assert_int_equal(who.reuse_ms, 0);
  assert_string_equal(used, "deploy");
  json_t *expected = json_loads("{\"role\":\"admin\",\"teams\":[1,{\"a\":null}]}", 0, NULL);
  assert_true(json_equal(set_claims, expected));
  json_decref(expected);
  stop(s);
}

/* row 20 */
static void test_only_the_whole_secret_is_accepted(void **state)
{
  (void)state;
  make_secrets();
  void *s = started(one(""));
  char text[80];
  for (size_t n = 0; n < TOKEN_SECRET; n++) {
    snprintf(text, sizeof text, "%.*s", (int)n, secret[0]);
    assert_int_equal(present(s, text), MCPAUTH_INVALID);
  }
  snprintf(text, sizeof text, "%sx", secret[0]);
  assert_int_equal(present(s, text), MCPAUTH_INVALID);
  for (size_t i = 5; i < TOKEN_SECRET; i++)
    for (int bit = 0; bit < 7; bit++) {
      snprintf(text, sizeof text, "%s", secret[0]);
      text[i] = (char)(text[i] ^ 1 << bit);
      assert_int_equal(present(s, text), MCPAUTH_INVALID);
    }
  assert_int_equal(present(s, secret[1]), MCPAUTH_INVALID);
  assert_string_equal(refused, "token that is not in the file");
  assert_int_equal(present(s, hash_of[0]), MCPAUTH_INVALID); /* the hash is no token */
  assert_string_equal(used, "");
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  stop(s);
}

/* row 20: ids and secrets are in one table. */
static void test_an_id_that_is_the_hash_of_something_is_no_token(void **state)
{
  (void)state;
  char text[512];
  make_secrets();
  snprintf(text, sizeof text, "{\"id\":\"%s\",\"sha256\":\"%s\",\"subject\":\"s\"}", hash_of[1],
           hash_of[0]);
  void *s = started(text);
  assert_int_equal(present(s, secret[1]), MCPAUTH_INVALID);
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  stop(s);
}

static void test_claims_goes_by_the_prefix_alone(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    bool mine;
  } cases[] = {{"mcpa_x", true},  {"mcpa_", false},      {"", false},
               {"Mcpa_x", false}, {"eyJhbGciOi", false}, {"xmcpa_x", false}};
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct mcpauth_credential c = {.value = {cases[i].text, strlen(cases[i].text)}};
    assert_int_equal(claims(&config, NULL, &c), cases[i].mine);
  }
}

static void test_a_disabled_token_is_invalid(void **state)
{
  (void)state;
  make_secrets();
  void *s = started(one(",\"enabled\":false"));
  assert_int_equal(present(s, secret[0]), MCPAUTH_INVALID);
  assert_int_equal(refused_why, MCPAUTH_WHY_NOT_ACCEPTED);
  stop(s);
  s = started(one(",\"enabled\":true"));
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  stop(s);
}

static void test_a_token_ends_at_its_second(void **state)
{
  (void)state;
  make_secrets();
  void *s = started(one(",\"expires\":\"2030-01-01T00:00:00Z\""));
  now = 1893455999;
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  now++;
  assert_int_equal(present(s, secret[0]), MCPAUTH_INVALID);
  assert_int_equal(refused_why, MCPAUTH_WHY_EXPIRED);
  stop(s);
}

static void test_after_a_rotation_both_secrets_are_good_for_a_while(void **state)
{
  (void)state;
  char more[256];
  make_secrets();
  snprintf(more, sizeof more,
           ",\"previous_sha256\":\"%s\",\"previous_until\":\"2030-01-01T00:00:00Z\"", hash_of[1]);
  void *s = started(one(more));
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  assert_int_equal(who.expires_at, 0);
  assert_int_equal(present(s, secret[1]), MCPAUTH_OK);
  assert_int_equal(who.expires_at, 1893456000);
  assert_string_equal(who.client, "deploy");
  now = 1893456000;
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  assert_int_equal(present(s, secret[1]), MCPAUTH_INVALID);
  stop(s);
}

static void test_the_old_secret_never_outlives_the_token(void **state)
{
  (void)state;
  char more[256];
  make_secrets();
  snprintf(more, sizeof more,
           ",\"expires\":\"2029-01-01T00:00:00Z\",\"previous_sha256\":\"%s\","
           "\"previous_until\":\"2030-01-01T00:00:00Z\"",
           hash_of[1]);
  void *s = started(one(more));
  now = 1861920000; /* 2029-01-01 */
  assert_int_equal(present(s, secret[1]), MCPAUTH_INVALID);
  stop(s);
}

static void test_a_changed_file_takes_effect_and_a_broken_one_does_not(void **state)
{
  (void)state;
  make_secrets();
  void *s = started(one(""));
  assert_int_equal(changed_now(changed_arg, (struct mcpauth_bytes){"{", 1}), -1);
  assert_non_null(strstr(said, "line 1 column"));
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  assert_int_equal(changed_now(changed_arg, (struct mcpauth_bytes){"", 0}), 0);
  assert_int_equal(present(s, secret[0]), MCPAUTH_INVALID);
  stop(s);
}

static void test_two_thousand_tokens_are_all_found(void **state)
{
  (void)state;
  enum { N = 2000 };
  struct buf text;
  struct err e = {""};
  static char secrets[N][TOKEN_SECRET + 1];
  buf_init(&text, 8 << 20);
  for (int i = 0; i < N; i++) {
    char h[65];
    assert_int_equal(token_secret_make(secrets[i], &e), 0);
    token_secret_hash(str_of(secrets[i]), h);
    buf_printf(&text, "{\"id\":\"t%d\",\"sha256\":\"%s\",\"subject\":\"s%d\"}\n", i, h, i % 7);
  }
  void *s = started(text.p);
  for (int i = 0; i < N; i++) {
    char id[32];
    snprintf(id, sizeof id, "t%d", i);
    assert_int_equal(present(s, secrets[i]), MCPAUTH_OK);
    assert_string_equal(who.client, id);
  }
  stop(s);
  buf_done(&text);
}

/* ------------------------------------------------------------------ what a file may say */

#define H          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define G          "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define T(more)    "{\"id\":\"a\",\"sha256\":\"" H "\",\"subject\":\"s\"" more "}"

static const struct {
  const char *text;
  const char *place; /* NULL: good */
} files[] = {
    {"", NULL},
    {"\n\n", NULL},
    {"# a comment\n" T("") "\n", NULL},
    {T(""), NULL}, /* no newline at the end */
    {T(",\"scopes\":[]"), NULL},
    {T(",\"claims\":{}"), NULL},
    {T(",\"note\":\"\\u00e9\",\"created\":\"x\""), NULL},
    {T(",\"expires\":\"2028-02-29T23:59:59Z\""), NULL},
    {T("") "\n{\"id\":\"b\",\"sha256\":\"" G "\",\"subject\":\"s\"}", NULL},
    /* syntax */
    {"{", "line 1 column"},
    {T("") "x", "line 1 column"},
    {"[]", "line 1 column 1"},
    {"\"a\"", "line 1"},
    {T(",\"note\":\"a\nb\""), "line 1 column"},
    {T(",\"id\":\"b\""), "line 1 column"},
    {"\xef\xbb\xbf" T(""), "line 1 column"},
    {T("") "\r\n" T(""), "line 2"},
    {T(",\"note\":\"\xff\""), "line 1 column"},
    {"\n# x\n" T(",\"nope\":1"), "line 3 column 102"},
    /* row 20: plaintext, short and empty tokens */
    {"{\"id\":\"a\",\"token\":\"mcpa_x\",\"subject\":\"s\"}", "line 1 column 12"},
    {"{\"id\":\"a\",\"secret\":\"mcpa_x\",\"subject\":\"s\"}", "line 1"},
    {"{\"id\":\"a\",\"sha256\":\"\",\"subject\":\"s\"}", "line 1"},
    {"{\"id\":\"a\",\"sha256\":\"0123\",\"subject\":\"s\"}", "line 1"},
    {"{\"id\":\"a\",\"sha256\":\"" H "0\",\"subject\":\"s\"}", "line 1"},
    {"{\"id\":\"a\",\"sha256\":\"" EMPTY_HASH "\",\"subject\":\"s\"}", "line 1"},
    {"{\"id\":\"a\",\"sha256\":"
     "\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\","
     "\"subject\":\"s\"}",
     "line 1"},
    {"{\"id\":\"a\",\"sha256\":\"mcpa_" H "\",\"subject\":\"s\"}", "line 1"},
    /* members */
    {"{\"sha256\":\"" H "\",\"subject\":\"s\"}", "id: is missing"},
    {"{\"id\":\"a\",\"subject\":\"s\"}", "sha256"},
    {"{\"id\":\"a\",\"sha256\":\"" H "\"}", "subject: is missing"},
    {"{\"id\":\"\",\"sha256\":\"" H "\",\"subject\":\"s\"}", "line 1 column 3: id"},
    {"{\"id\":\"a b\",\"sha256\":\"" H "\",\"subject\":\"s\"}", "id"},
    {"{\"id\":\"a/b\",\"sha256\":\"" H "\",\"subject\":\"s\"}", "id"},
    {"{\"id\":7,\"sha256\":\"" H "\",\"subject\":\"s\"}", "id"},
    {"{\"id\":\"a\",\"sha256\":\"" H "\",\"subject\":\"\"}", "subject"},
    {"{\"id\":\"a\",\"sha256\":\"" H "\",\"subject\":\"a\\nb\"}", "subject"},
    {"{\"id\":\"a\",\"sha256\":\"" H "\",\"subject\":null}", "subject"},
    {T(",\"scopes\":\"a b\""), "scopes"},
    {T(",\"scopes\":[\"a b\"]"), "scopes"},
    {T(",\"scopes\":[\"\"]"), "scopes"},
    {T(",\"scopes\":[1]"), "scopes"},
    {T(",\"scopes\":[\"a\\\"\"]"), "scopes"},
    {T(",\"scopes\":[\"\\u00e9\"]"), "scopes"},
    {T(",\"claims\":[]"), "claims"},
    {T(",\"claims\":{\"account\":1}"), "claims"},
    {T(",\"claims\":{\"a/b\":1}"), "claims"},
    {T(",\"claims\":{\"\":1}"), "claims"},
    {T(",\"expires\":\"2028-02-30T00:00:00Z\""), "expires"},
    {T(",\"expires\":\"2028-02-01\""), "expires"},
    {T(",\"expires\":\"2028-2-01T00:00:00Z\""), "expires"},
    {T(",\"expires\":\"2028-02-01T24:00:00Z\""), "expires"},
    {T(",\"expires\":\"2028-02-01T00:00:00+01:00\""), "expires"},
    {T(",\"expires\":1900000000"), "expires"},
    {T(",\"expires\":\"\""), "expires"},
    {T(",\"expires\":null"), "expires"},
    {T(",\"enabled\":\"no\""), "enabled"},
    {T(",\"enabled\":0"), "enabled"},
    {T(",\"enabled\":null"), "enabled"},
    {T(",\"previous_sha256\":\"" G "\""), "previous_until"},
    {T(",\"previous_until\":\"2030-01-01T00:00:00Z\""), "previous_"},
    {T(",\"previous_sha256\":\"" H "\",\"previous_until\":\"2030-01-01T00:00:00Z\""), "again"},
    /* the same twice */
    {T("") "\n" T(""), "line 2"},
    {T("") "\n{\"id\":\"a\",\"sha256\":\"" G "\",\"subject\":\"s\"}", "line 2"},
    {T("") "\n\n{\"id\":\"b\",\"sha256\":\"" H "\",\"subject\":\"s\"}", "line 3"},
    {T("") "\n{\"id\":\"b\",\"sha256\":\"" G "\",\"subject\":\"s\",\"previous_sha256\":\"" H
           "\",\"previous_until\":\"2030-01-01T00:00:00Z\"}",
     "line 2"},
};

/* row 20, row 139: a file with a mistake is refused as a whole, with its place. */
static void test_a_file_with_a_mistake_is_refused_with_its_place(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
    said[0] = 0;
    content = files[i].text;
    int r = check(&fake, NULL, &config);
    if (r != (files[i].place ? -1 : 0))
      fail_msg("%s: %d %s", files[i].text, r, said);
    if (files[i].place &&
        (strncmp(said, "/tokens: line ", 14) != 0 || !strstr(said, files[i].place)))
      fail_msg("%s: '%s' does not say %s", files[i].text, said, files[i].place);
    if (strstr(said, "mcpa_x") || strstr(said, H)) /* row 33: not even here */
      fail_msg("%s", said);
  }
}

/* The command line refuses and accepts exactly what the provider does. */
static void test_the_command_line_judges_files_as_the_provider_does(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
    struct err e = {""};
    struct tokenfile *f = tokenfile_parse(str_of(files[i].text), &e);
    if ((f == NULL) != (files[i].place != NULL))
      fail_msg("%s: %s", files[i].text, e.text);
    if (f == NULL && strncmp(e.text, "line ", 5) != 0)
      fail_msg("%s: no place in '%s'", files[i].text, e.text);
    tokenfile_free(f);
  }
}

/* The same for files that were bent at random. */
static void test_bent_files_are_judged_alike(void **state)
{
  (void)state;
  unsigned seed = 11;
  static const char bytes[] = "\"{}[]:,\\ \n#aeu0129-TZ\x01\xc3\xa9";
  for (int i = 0; i < 20000; i++) {
    char text[1024];
    const char *from = files[(unsigned)rand_r(&seed) % ARRAY_SIZE(files)].text;
    size_t n = strlen(from);
    if (n == 0 || n >= sizeof text)
      continue;
    memcpy(text, from, n + 1);
    for (int k = rand_r(&seed) % 3; k >= 0; k--)
      text[(unsigned)rand_r(&seed) % n] = bytes[(unsigned)rand_r(&seed) % (sizeof bytes - 1)];
    struct err e = {""};
    struct tokenfile *f = tokenfile_parse(str_of(text), &e);
    content = text;
    int r = check(&fake, NULL, &config);
    if ((f == NULL) != (r < 0))
      fail_msg("%s\ncommand line: %s\nprovider: %s", text, f ? "good" : e.text, r ? said : "good");
    tokenfile_free(f);
  }
}

static void test_what_the_command_line_writes_the_provider_reads(void **state)
{
  (void)state;
  struct err e = {""};
  make_secrets();
  struct tokenfile *f = tokenfile_parse(STR("# mine\n\n" T("") "\n"), &e);
  assert_non_null(f);
  json_t *t = json_pack("{ssssss}", "id", "b", "sha256", hash_of[0], "subject", "\xc3\xa9");
  assert_int_equal(tokenfile_add(f, t, &e), 0);
  t = json_pack("{ssssss}", "id", "b", "sha256", hash_of[1], "subject", "x");
  assert_int_equal(tokenfile_add(f, t, &e), -1); /* the id is taken */
  t = json_pack("{ssssss}", "id", "c", "sha256", hash_of[0], "subject", "x");
  assert_int_equal(tokenfile_add(f, t, &e), -1); /* the secret is taken */
  struct buf out;
  buf_init(&out, 65536);
  assert_int_equal(tokenfile_format(f, &out), 0);
  assert_int_equal(strncmp(out.p, "# mine\n\n" T("") "\n", strlen("# mine\n\n" T("") "\n")), 0);
  void *s = started(out.p);
  assert_int_equal(present(s, secret[0]), MCPAUTH_OK);
  assert_string_equal(who.subject, "\xc3\xa9");
  stop(s);
  buf_done(&out);
  tokenfile_free(f);
}

/* row 20, row 118 */
static void test_a_secret_has_256_random_bits_and_check_digits(void **state)
{
  (void)state;
  make_secrets();
  for (int i = 0; i < 2; i++) {
    assert_int_equal(strlen(secret[i]), 55);
    assert_int_equal(strncmp(secret[i], "mcpa_", 5), 0);
    assert_int_equal(strspn(secret[i] + 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_"),
                     50);
    assert_true(token_secret_valid(str_of(secret[i])));
  }
  assert_string_not_equal(secret[0], secret[1]);
  /* printf %s mcpa_AAAA…A | sha256sum */
  assert_true(token_secret_valid(STR("mcpa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_4c6739")));
}

int main(void)
{
#define C(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      C(test_a_good_token_names_its_principal),
      C(test_only_the_whole_secret_is_accepted),
      C(test_an_id_that_is_the_hash_of_something_is_no_token),
      C(test_claims_goes_by_the_prefix_alone),
      C(test_a_disabled_token_is_invalid),
      C(test_a_token_ends_at_its_second),
      C(test_after_a_rotation_both_secrets_are_good_for_a_while),
      C(test_the_old_secret_never_outlives_the_token),
      C(test_a_changed_file_takes_effect_and_a_broken_one_does_not),
      C(test_two_thousand_tokens_are_all_found),
      C(test_a_file_with_a_mistake_is_refused_with_its_place),
      C(test_the_command_line_judges_files_as_the_provider_does),
      C(test_bent_files_are_judged_alike),
      C(test_what_the_command_line_writes_the_provider_reads),
      C(test_a_secret_has_256_random_bits_and_check_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
