/* Where the keys of a key set come from: the state directory after a restart, discovery, files,
 * secrets.  Rows 2, 121 and reliability R8. */
#include "keyset_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

/* ------------------------------------------------------------------ across restarts */

static void stored_path(char *out, size_t size)
{
  char command[160];
  snprintf(command, sizeof command, "ls %s/keys/*", state_dir);
  FILE *p = popen(command, "r");
  assert_non_null(fgets(out, (int)size, p));
  out[strcspn(out, "\n")] = 0;
  assert_int_equal(pclose(p), 0);
}

static void a_restart_during_an_outage_changes_nothing(void **state)
{
  (void)state;
  char path[256];
  struct stat st;
  keyset_free(open_filled());
  stored_path(path, sizeof path);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  world_pass(20 * HOUR);
  struct keyset *ks = open_uri();
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  world_pass(SECOND);
  assert_non_null(world_fetch()); /* they are old: a fetch is under way */
  world_reply(0, "", -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void fresh_stored_keys_need_no_fetch(void **state)
{
  (void)state;
  keyset_free(open_filled());
  world_pass(MINUTE);
  struct keyset *ks = open_uri();
  world_pass(MINUTE);
  assert_int_equal(world_fetches, 1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void stored_keys_are_given_up_in_time(void **state)
{
  (void)state;
  keyset_free(open_filled());
  world_pass(25 * HOUR);
  struct keyset *ks = open_uri();
  struct asked x;
  ask(ks, &old_key, &x);
  assert_non_null(x.wait); /* for new ones */
  world_reply(0, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

static void spoil(const char *what)
{
  char path[256], command[400];
  stored_path(path, sizeof path);
  snprintf(command, sizeof command, "f=%s; %s", path, what);
  assert_int_equal(system(command), 0);
}

static void assert_not_used(const char *what)
{
  struct asked x;
  keyset_free(open_filled());
  spoil(what);
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  assert_non_null(x.wait); /* for the fetch */
  keyset_cancel(x.wait);
  keyset_free(ks);
  spoil("rm -f $f");
}

static void spoilt_stored_keys_are_not_used(void **state)
{
  (void)state;
  assert_not_used("echo '{' > $f");
  assert_not_used(": > $f");
  assert_not_used("chmod 0622 $f");
  assert_not_used("sed -i 's,idp.example/jwks,other.example/jwks,g' $f");
  assert_not_used("sed -i 's,\"keys\",\"k\",' $f");
  assert_not_used("sed -i 's,\"fetched_ms\":,\"fetched_ms\":-,' $f");
  assert_not_used("sed -i 's,\"lifetime\":600,\"lifetime\":99999999,' $f");
}

/* ------------------------------------------------------------------ discovery */

static struct keyset *open_issuer(const char *issuer)
{
  return open_source((struct keyset_source){.issuer = issuer});
}

static void keys_are_found_by_openid_discovery(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer(ISSUER);
  assert_string_equal(world_fetch()->url, ISSUER "/.well-known/openid-configuration");
  world_reply(200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URI "\"}", -1);
  assert_string_equal(world_fetch()->url, URI);
  world_reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void fill_issuer(void)
{
  world_reply(200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URI "\"}", -1);
  world_reply(200, old_keys, -1);
}

static void where_the_keys_are_is_remembered_across_a_restart(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_issuer(ISSUER);
  fill_issuer();
  keyset_free(ks);
  ks = open_issuer(ISSUER);
  ask(ks, &new_key, &x);
  assert_string_equal(world_fetch()->url, URI);
  world_reply(200, new_keys, -1);
  assert_int_equal(x.result, MCPAUTH_OK);
  keyset_free(ks);
}

static void after_a_failure_and_after_a_day_discovery_is_done_again(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer(ISSUER);
  fill_issuer();
  world_pass(9 * MINUTE);
  assert_string_equal(world_fetch()->url, URI);
  world_reply(404, "", -1);
  world_pass(2 * SECOND);
  assert_string_equal(world_fetch()->url, ISSUER "/.well-known/openid-configuration");
  fill_issuer();
  for (int64_t end = world_ms + 25 * HOUR; world_ms < end;) {
    world_pass(MINUTE);
    if (world_fetch() && strcmp(world_fetch()->url, URI) != 0)
      break;
    if (world_fetch())
      world_reply(200, old_keys, -1);
  }
  assert_non_null(world_fetch());
  fill_issuer();
  keyset_free(ks);
}

/* RFC 8414 section 3: the well-known part stands before the issuer's path. */
static void keys_are_found_by_oauth_metadata_where_openid_is_not(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer(ISSUER);
  world_reply(404, "", -1);
  assert_string_equal(world_fetch()->url,
                      "https://idp.example/.well-known/oauth-authorization-server/realm");
  world_reply(200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URI "\"}", -1);
  world_reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void a_slash_at_the_end_of_the_issuer_is_not_doubled(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer("https://idp.example/");
  assert_string_equal(world_fetch()->url, "https://idp.example/.well-known/openid-configuration");
  world_reply(404, "", -1);
  assert_string_equal(world_fetch()->url,
                      "https://idp.example/.well-known/oauth-authorization-server");
  keyset_free(ks);
}

static void metadata_of_somebody_else_is_refused(void **state)
{
  (void)state;
  static const char *const documents[] = {
      "{\"issuer\":\"https://idp.example/realm/\",\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"https://idp.example/Realm\",\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"" URI "\"}",
      "{\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":[\"" ISSUER "\"],\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"" ISSUER "\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://idp.example/jwks\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://127.0.0.1/jwks\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"file:///etc/passwd\"}",
      "{\"issuer\":\"" ISSUER "\",\"issuer\":\"https://evil.example\",\"jwks_uri\":\"" URI "\"}",
      "not json",
  };
  for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
    struct keyset *ks = open_issuer(ISSUER);
    world_reply(200, documents[i], -1);
    assert_null(world_fetch());
    assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
    keyset_free(ks);
  }
}

static void a_redirect_is_a_failure(void **state)
{
  (void)state;
  struct keyset *ks = open_uri();
  world_reply(302, "", -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* ------------------------------------------------------------------ files, secrets, mistakes */

static void write_file(const char *path, const char *text, mode_t mode)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

static void a_key_file_is_read_again_and_a_bad_one_is_not(void **state)
{
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/keys.jwks", state_dir);
  write_file(path, old_keys, 0644);
  struct keyset *ks = open_source((struct keyset_source){.file = path});
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  write_file(path, "rubbish", 0644);
  world_pass(2 * SECOND);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  write_file(path, new_keys, 0666); /* others can write it */
  world_pass(2 * SECOND);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  write_file(path, new_keys, 0644);
  world_pass(2 * SECOND);
  assert_int_equal(now(ks, &new_key), MCPAUTH_OK);
  assert_int_equal(world_fetches, 0);
  keyset_free(ks);
}

static void a_shared_secret_verifies_hs_only(void **state)
{
  (void)state;
  struct signer hs = signer_make(ALG_HS256, NULL);
  struct keyset *ks = open_source((struct keyset_source){.shared = hs.secret});
  assert_int_equal(now(ks, &hs), MCPAUTH_OK);
  assert_int_equal(now(ks, &old_key), MCPAUTH_INVALID);
  keyset_free(ks);
}

static void unusable_sources_are_refused(void **state)
{
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/keys.jwks", state_dir);
  write_file(path, old_keys, 0666);
  const struct keyset_source sources[] = {
      {.file = NULL},
      {.jwks_uri = URI, .issuer = ISSUER},
      {.jwks_uri = "http://idp.example/jwks"},
      {.jwks_uri = "idp.example"},
      {.issuer = "http://idp.example"},
      {.file = "/nonexistent/keys"},
      {.file = "/dev/null"},
      {.file = path},
      {.shared = STR("too short")},
  };
  for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
    struct err e = {""};
    assert_null(keyset_open(&env, "corp", &sources[i], &e));
    assert_true(e.text[0]);
  }
}

static void plain_http_is_for_loopback(void **state)
{
  (void)state;
  struct keyset *ks = open_source((struct keyset_source){.jwks_uri = "http://127.0.0.1:8080/jwks"});
  world_reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(a_restart_during_an_outage_changes_nothing),
      TEST(fresh_stored_keys_need_no_fetch),
      TEST(stored_keys_are_given_up_in_time),
      TEST(spoilt_stored_keys_are_not_used),
      TEST(keys_are_found_by_openid_discovery),
      TEST(where_the_keys_are_is_remembered_across_a_restart),
      TEST(after_a_failure_and_after_a_day_discovery_is_done_again),
      TEST(keys_are_found_by_oauth_metadata_where_openid_is_not),
      TEST(a_slash_at_the_end_of_the_issuer_is_not_doubled),
      TEST(metadata_of_somebody_else_is_refused),
      TEST(a_redirect_is_a_failure),
      TEST(a_key_file_is_read_again_and_a_bad_one_is_not),
      TEST(a_shared_secret_verifies_hs_only),
      TEST(unusable_sources_are_refused),
      TEST(plain_http_is_for_loopback),
  };
  return world_run(tests);
}
