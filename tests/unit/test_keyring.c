/* The key ring: sealing, signing, the file, rotation. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/keyring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/jws.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"

static char dir[64];
static struct keyring *ring;

static const char *in_dir(const char *name)
{
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static int setup(void **state)
{
  (void)state;
  struct err e = {""};
  snprintf(dir, sizeof dir, "/tmp/mcpauth-ring.XXXXXX");
  if (mkdtemp(dir) == NULL)
    return -1;
  clock_freeze(1800000000000, 1000000);
  ring = keyring_load(dir, true, &e);
  return ring ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  char command[128];
  keyring_free(ring);
  clock_freeze(-1, -1);
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

static void later(int64_t seconds)
{
  clock_freeze(clock_wall_ms() + seconds * 1000, clock_mono_ms() + seconds * 1000);
}

/* ---- sealing */

static struct buf sealed_of(const char *text)
{
  struct buf b;
  buf_init(&b, 4096);
  assert_int_equal(keyring_seal(ring, "test", STR("place"), str_of(text), &b, NULL), 0);
  return b;
}

static int opens(const struct keyring *k, const char *label, const char *aad, struct str sealed,
                 const char *expected)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, 4096);
  if (keyring_open(k, label, str_of(aad), sealed, &b) < 0) {
    assert_int_equal(b.n, 0);
    return 0;
  }
  assert_true(str_is(buf_view(&b), expected));
  return 1;
}

static void test_what_was_sealed_opens(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret");
  assert_int_equal(b.n, strlen("a secret") + KEYRING_SEAL_OVERHEAD);
  assert_null(memmem(b.p, b.n, "secret", 6));
  assert_true(opens(ring, "test", "place", buf_view(&b), "a secret"));
  CLEANUP(buf_done) struct buf empty = sealed_of("");
  assert_true(opens(ring, "test", "place", buf_view(&empty), ""));
}

/* row 119 */
static void test_it_opens_in_no_other_place_and_under_no_other_label(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret");
  assert_false(opens(ring, "test", "places", buf_view(&b), ""));
  assert_false(opens(ring, "test", "", buf_view(&b), ""));
  assert_false(opens(ring, "tests", "place", buf_view(&b), ""));
}

/* row 119 */
static void test_no_byte_of_it_can_be_changed_added_or_taken(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret");
  for (size_t i = 0; i < b.n; i++) {
    b.p[i] ^= 1;
    assert_false(opens(ring, "test", "place", buf_view(&b), ""));
    b.p[i] ^= 1;
    assert_false(opens(ring, "test", "place", str_slice(buf_view(&b), 0, i), ""));
  }
  buf_putc(&b, 0);
  assert_false(opens(ring, "test", "place", buf_view(&b), ""));
}

static void test_one_text_is_never_sealed_alike_twice(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf a = sealed_of("x"), b = sealed_of("x");
  assert_memory_not_equal(a.p + 5, b.p + 5, 24);
}

static void test_another_ring_opens_nothing(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret");
  mkdir(in_dir("other"), 0700);
  struct keyring *other = keyring_load(in_dir("other"), true, NULL);
  assert_non_null(other);
  assert_string_not_equal(keyring_name(ring), keyring_name(other));
  assert_false(opens(other, "test", "place", buf_view(&b), ""));
  keyring_free(other);
}

static void test_a_token_opens_what_it_sealed_and_no_other_does(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b, text;
  buf_init(&b, 4096);
  buf_init(&text, 4096);
  struct str token = STR("mcpa_rt_0123456789abcdef"), other = STR("mcpa_rt_0123456789abcdeF");
  assert_int_equal(token_seal(token, "successor", STR("g1"), STR("next"), &b, NULL), 0);
  assert_int_equal(token_open(other, "successor", STR("g1"), buf_view(&b), &text), -1);
  assert_int_equal(token_open(token, "successor", STR("g2"), buf_view(&b), &text), -1);
  assert_int_equal(token_open(token, "successor", STR("g1"), buf_view(&b), &text), 0);
  assert_true(str_is(buf_view(&text), "next"));
  assert_int_equal(keyring_open(ring, "successor", STR("g1"), buf_view(&b), &text), -1);
}

/* Sealed by another program, by the form that keyring_seal.c describes: what an older hub has
 * sealed opens as long as this does. */
static void test_the_sealed_form_is_the_one_described(void **state)
{
  (void)state;
  static const unsigned char sealed[] = {1,    0,    0,    0,    0,    1,    2,    3,    4,    5,
                                         6,    7,    8,    9,    10,   11,   12,   101,  102,  103,
                                         104,  105,  106,  107,  108,  109,  110,  111,  112,  0x33,
                                         0x0f, 0x9f, 0x40, 0xbb, 0xee, 0x9b, 0x4d, 0x90, 0xa0, 0x46,
                                         0x04, 0x87, 0x92, 0xe6, 0x2f, 0x25, 0xc6, 0x7c, 0x1e};
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, 64);
  assert_int_equal(token_open(STR("0123456789abcdef0123456789abcdef"), "test", STR("place"),
                              (struct str){(const char *)sealed, sizeof sealed}, &text),
                   0);
  assert_true(str_is(buf_view(&text), "next"));
}

/* ---- signing */

static struct buf signed_token(const char *claims, const char *typ)
{
  struct buf b;
  buf_init(&b, 8192);
  assert_int_equal(keyring_sign(ring, str_of(claims), typ, &b, NULL), 0);
  return b;
}

static bool verifies(struct str token, const char *typ)
{
  json_t *claims = NULL;
  struct err e = {""};
  bool good = keyring_verify(ring, token, typ, &claims, &e) == 0;
  assert_int_equal(good, claims != NULL);
  assert_int_equal(good, e.text[0] == 0);
  json_decref(claims);
  return good;
}

static void test_what_it_signs_others_verify_by_the_published_keys(void **state)
{
  (void)state;
  struct err e = {""};
  CLEANUP(buf_done) struct buf token = signed_token("{\"sub\":\"ann\"}", "at+jwt");
  struct jwks *keys = jwks_parse(keyring_jwks(ring), false, &e);
  assert_non_null(keys);
  assert_int_equal(keys->n, 1);
  assert_int_equal(keys->keys[0].alg, ALG_ES256);
  assert_int_equal(jws_verify(buf_view(&token), keys, &e), JWT_VALID);
  jwks_free(keys);
}

static void test_it_knows_its_own_tokens(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf token = signed_token("{\"sub\":\"ann\"}", "at+jwt");
  json_t *claims = NULL;
  assert_int_equal(keyring_verify(ring, buf_view(&token), "at+jwt", &claims, NULL), 0);
  assert_true(str_is(json_str(claims, "sub"), "ann"));
  json_decref(claims);
}

static void test_a_token_for_one_use_is_none_for_another(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf token = signed_token("{}", "at+jwt");
  assert_false(verifies(buf_view(&token), "assertion+jwt"));
  assert_false(verifies(buf_view(&token), "AT+JWT"));
}

static void test_no_byte_of_a_token_can_be_changed(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf token = signed_token("{\"sub\":\"ann\"}", "at+jwt");
  for (size_t i = 0; i < token.n; i++) {
    char was = token.p[i];
    token.p[i] = was == 'A' ? 'B' : 'A';
    assert_false(verifies(buf_view(&token), "at+jwt"));
    token.p[i] = was;
    assert_false(verifies(str_slice(buf_view(&token), 0, i), "at+jwt"));
  }
  assert_true(verifies(buf_view(&token), "at+jwt"));
  buf_puts(&token, ".");
  assert_false(verifies(buf_view(&token), "at+jwt"));
}

static void test_claims_that_are_no_object_are_no_token(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf array = signed_token("[]", "at+jwt");
  CLEANUP(buf_done) struct buf twice = signed_token("{\"sub\":\"a\",\"sub\":\"b\"}", "at+jwt");
  assert_false(verifies(buf_view(&array), "at+jwt"));
  assert_false(verifies(buf_view(&twice), "at+jwt"));
}

/* ---- rotation */

static size_t published(void)
{
  struct jwks *keys = jwks_parse(keyring_jwks(ring), false, NULL);
  assert_non_null(keys);
  size_t n = keys->n;
  jwks_free(keys);
  return n;
}

static struct str header_of(const struct buf *token)
{
  return str_slice(buf_view(token), 0, str_chr(buf_view(token), '.'));
}

/* row 191 */
static void test_a_new_signing_key_is_published_before_it_signs(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf before = signed_token("{}", "at+jwt");
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, -1, NULL), 0);
  assert_int_equal(published(), 2);
  later(KEYRING_PUBLISH_S - 1);
  CLEANUP(buf_done) struct buf meanwhile = signed_token("{}", "at+jwt");
  assert_true(str_eq(header_of(&before), header_of(&meanwhile)));
  later(1);
  CLEANUP(buf_done) struct buf after = signed_token("{}", "at+jwt");
  assert_false(str_eq(header_of(&before), header_of(&after)));
  assert_true(verifies(buf_view(&before), "at+jwt"));
  assert_true(verifies(buf_view(&after), "at+jwt"));
}

/* row 191 */
static void test_an_old_signing_key_stays_until_its_tokens_have_expired(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf old = signed_token("{}", "at+jwt");
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, 0, NULL), 0);
  later(KEYRING_KEEP_S);
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, 0, NULL), 0);
  assert_true(verifies(buf_view(&old), "at+jwt"));
  assert_int_equal(published(), 3);
  later(1);
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, 0, NULL), 0);
  assert_false(verifies(buf_view(&old), "at+jwt"));
  assert_int_equal(published(), 3);
}

/* row 120 */
static void test_a_new_sealing_key_is_used_after_all_can_have_read_it(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf old = sealed_of("old");
  assert_int_equal(keyring_rotate(ring, KEYRING_SEALING, -1, NULL), 0);
  assert_int_equal(keyring_sealing(ring), 1);
  later(KEYRING_SPREAD_S);
  assert_int_equal(keyring_sealing(ring), 2);
  CLEANUP(buf_done) struct buf new = sealed_of("new");
  assert_int_equal(keyring_sealed_by(buf_view(&new)), 2);
  assert_true(opens(ring, "test", "place", buf_view(&old), "old"));
  assert_true(opens(ring, "test", "place", buf_view(&new), "new"));
}

static void test_an_old_sealing_key_can_be_dropped_when_its_time_is_over(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf old = sealed_of("old");
  assert_int_equal(keyring_rotate(ring, KEYRING_SEALING, 0, NULL), 0);
  assert_int_equal(keyring_drop_old(ring, KEYRING_KEEP_S, NULL), 0);
  assert_true(opens(ring, "test", "place", buf_view(&old), "old"));
  later(KEYRING_KEEP_S);
  assert_int_equal(keyring_drop_old(ring, KEYRING_KEEP_S, NULL), 1);
  assert_false(opens(ring, "test", "place", buf_view(&old), ""));
  assert_int_equal(keyring_rotate(ring, KEYRING_SEALING, 0, NULL), 0);
  assert_int_equal(keyring_sealing(ring), 3); /* a number never comes back */
}

static void test_another_process_sees_a_rotation_when_it_looks(void **state)
{
  (void)state;
  struct keyring *other = keyring_load(dir, false, NULL);
  assert_non_null(other);
  assert_int_equal(keyring_poll(other, NULL), 0);
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, 0, NULL), 0);
  CLEANUP(buf_done) struct buf token = signed_token("{}", "at+jwt");
  assert_int_equal(keyring_poll(other, NULL), 1);
  json_t *claims = NULL;
  assert_int_equal(keyring_verify(other, buf_view(&token), "at+jwt", &claims, NULL), 0);
  json_decref(claims);
  assert_int_equal(keyring_poll(other, NULL), 0);
  keyring_free(other);
}

static void test_the_list_says_which_key_is_in_use(void **state)
{
  (void)state;
  struct keyring_info list[8];
  assert_int_equal(keyring_rotate(ring, KEYRING_SIGNING, -1, NULL), 0);
  assert_int_equal(keyring_list(ring, list, 8), 3);
  assert_int_equal(list[0].kind, KEYRING_SEALING);
  assert_string_equal(list[0].id, "1");
  assert_int_equal(list[1].state, KEYRING_CURRENT);
  assert_int_equal(list[2].state, KEYRING_COMING);
  later(KEYRING_PUBLISH_S);
  assert_int_equal(keyring_list(ring, list, 8), 3);
  assert_int_equal(list[1].state, KEYRING_OLD);
  assert_int_equal(list[2].state, KEYRING_CURRENT);
}

/* ---- the file */

static void write_ring(const char *text, mode_t mode)
{
  FILE *f = fopen(in_dir("keys.ring"), "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(in_dir("keys.ring"), mode), 0);
}

static void refused(const char *why)
{
  struct err e = {""};
  assert_null(keyring_load(dir, true, &e));
  if (strstr(e.text, why) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

static void test_the_keys_survive_a_restart(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret"), token = signed_token("{}", "at+jwt");
  keyring_free(ring);
  ring = keyring_load(dir, true, NULL);
  assert_non_null(ring);
  assert_true(opens(ring, "test", "place", buf_view(&b), "a secret"));
  assert_true(verifies(buf_view(&token), "at+jwt"));
}

/* row 121 */
static void test_a_ring_that_others_could_read_is_refused(void **state)
{
  (void)state;
  struct stat st;
  assert_int_equal(stat(in_dir("keys.ring"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(chmod(in_dir("keys.ring"), 0640), 0);
  refused("0600");
  assert_int_equal(chmod(in_dir("keys.ring"), 0604), 0);
  refused("read by others");
  assert_int_equal(chmod(in_dir("keys.ring"), 0600), 0);
  assert_int_equal(chmod(dir, 0777), 0);
  refused("can be written by others");
}

static void test_a_damaged_ring_is_refused_and_left_as_it_is(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "",
      "{}",
      "[]",
      "{\"version\":2}",
      "{\"version\":1,\"name\":\"00112233445566778899aabbccddeeff\",\"sealing\":[],\"signing\":[]}",
      ("{\"version\":1,\"name\":\"00112233445566778899aabbccddeeff\",\"sealing\":[{\"id\":1,"
       "\"created_at\":1,\"from\":1,\"key\":\"AAAA\"}],\"signing\":[]}")};
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    write_ring(texts[i], 0600);
    refused("keys.ring");
    struct stat st;
    assert_int_equal(stat(in_dir("keys.ring"), &st), 0);
    assert_int_equal(st.st_size, strlen(texts[i]));
  }
}

/* row 120: a store that an earlier ring sealed must not get a new one */
static void test_no_ring_is_made_beside_a_store_that_has_lost_its_own(void **state)
{
  (void)state;
  assert_int_equal(unlink(in_dir("keys.ring")), 0);
  FILE *f = fopen(in_dir("store.db"), "w");
  assert_non_null(f);
  fclose(f);
  refused("restore the key ring");
  assert_int_equal(access(in_dir("keys.ring"), F_OK), -1);
}

static void test_a_ring_that_was_exchanged_is_not_taken(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf b = sealed_of("a secret");
  assert_int_equal(mkdir(in_dir("other"), 0700), 0);
  keyring_free(keyring_load(in_dir("other"), true, NULL));
  char from[128];
  snprintf(from, sizeof from, "%s", in_dir("other/keys.ring"));
  assert_int_equal(rename(from, in_dir("keys.ring")), 0);
  struct err e = {""};
  assert_int_equal(keyring_poll(ring, &e), -1);
  assert_non_null(strstr(e.text, "another key ring"));
  assert_true(opens(ring, "test", "place", buf_view(&b), "a secret"));
}

static void test_processes_that_begin_at_once_make_one_ring(void **state)
{
  (void)state;
  assert_int_equal(mkdir(in_dir("new"), 0700), 0);
  int report[2];
  assert_int_equal(pipe(report), 0);
  for (int i = 0; i < 8; i++) {
    if (fork() == 0) {
      struct keyring *k = keyring_load(in_dir("new"), true, NULL);
      const char *name = k ? keyring_name(k) : "none";
      _exit(write(report[1], name, 32) == 32 ? 0 : 1);
    }
  }
  char names[8][32];
  for (int i = 0; i < 8; i++) {
    assert_int_equal(read(report[0], names[i], 32), 32);
    assert_memory_equal(names[0], names[i], 32);
    wait(NULL);
  }
  close(report[0]);
  close(report[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_what_was_sealed_opens),
      T(test_it_opens_in_no_other_place_and_under_no_other_label),
      T(test_no_byte_of_it_can_be_changed_added_or_taken),
      T(test_one_text_is_never_sealed_alike_twice),
      T(test_another_ring_opens_nothing),
      T(test_a_token_opens_what_it_sealed_and_no_other_does),
      T(test_the_sealed_form_is_the_one_described),
      T(test_what_it_signs_others_verify_by_the_published_keys),
      T(test_it_knows_its_own_tokens),
      T(test_a_token_for_one_use_is_none_for_another),
      T(test_no_byte_of_a_token_can_be_changed),
      T(test_claims_that_are_no_object_are_no_token),
      T(test_a_new_signing_key_is_published_before_it_signs),
      T(test_an_old_signing_key_stays_until_its_tokens_have_expired),
      T(test_a_new_sealing_key_is_used_after_all_can_have_read_it),
      T(test_an_old_sealing_key_can_be_dropped_when_its_time_is_over),
      T(test_another_process_sees_a_rotation_when_it_looks),
      T(test_the_list_says_which_key_is_in_use),
      T(test_the_keys_survive_a_restart),
      T(test_a_ring_that_others_could_read_is_refused),
      T(test_a_damaged_ring_is_refused_and_left_as_it_is),
      T(test_no_ring_is_made_beside_a_store_that_has_lost_its_own),
      T(test_a_ring_that_was_exchanged_is_not_taken),
      T(test_processes_that_begin_at_once_make_one_ring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
