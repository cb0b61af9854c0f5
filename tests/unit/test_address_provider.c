/* The address guard before a host that is played here: which networks it takes, whom they cover.
 * Rows 134, 138. */
#include "../../plugins/address/address.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char reported[32];
static struct mcpauth_facts facts;

static int fake_report(struct mcpauth_instance *self, const char *option, const char *format, ...)
{
  (void)self;
  assert_true(*format);
  snprintf(reported, sizeof reported, "%s", option ? option : "-");
  return -1;
}

static const struct mcpauth_facts *fake_facts(struct mcpauth_request *rq)
{
  (void)rq;
  return &facts;
}

static enum mcpauth_result fake_refuse(struct mcpauth_request *rq, enum mcpauth_result result,
                                       enum mcpauth_why why, const char *format, ...)
{
  (void)rq, (void)why;
  assert_true(*format);
  return result;
}

static const struct mcpauth_host fake = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_host),
    .report = fake_report,
    .facts = fake_facts,
    .refuse = fake_refuse,
};

static int set_up(void **state)
{
  (void)state;
  host = &fake;
  reported[0] = 0;
  return 0;
}

static struct config of(const char *const *allow, const char *const *deny)
{
  struct config c = {{0, allow}, {0, deny}};
  while (allow && allow[c.allow.n])
    c.allow.n++;
  while (deny && deny[c.deny.n])
    c.deny.n++;
  return c;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static enum mcpauth_result asked(struct config c, const char *address)
{
  void *state = NULL;
  assert_int_equal(check(&fake, NULL, &c), 0);
  assert_int_equal(start(&fake, NULL, &c, &state), 0);
  facts.address = address;
  enum mcpauth_result r = judge(NULL, &c, state);
  stop(state);
  return r;
}

static void assert_allowed(const char *network, const char *address)
{
  if (asked(of(WORDS(network), NULL), address) != MCPAUTH_PASS)
    fail_msg("%s does not cover %s", network, address);
}

static void assert_refused(const char *network, const char *address)
{
  if (asked(of(WORDS(network), NULL), address) != MCPAUTH_DENY)
    fail_msg("%s covers %s", network, address);
}

static void test_a_network_covers_its_addresses_and_no_other(void **state)
{
  (void)state;
  assert_allowed("10.0.0.0/8", "10.255.255.255");
  assert_refused("10.0.0.0/8", "11.0.0.0");
  assert_allowed("192.0.2.128/25", "192.0.2.128");
  assert_refused("192.0.2.128/25", "192.0.2.127");
  assert_allowed("192.0.2.7", "192.0.2.7");
  assert_refused("192.0.2.7", "192.0.2.6");
  assert_allowed("2001:db8::/33", "2001:db8:7fff:ffff::1");
  assert_refused("2001:db8::/33", "2001:db8:8000::");
  assert_allowed("::1", "::1");
  assert_allowed("0.0.0.0/0", "203.0.113.9");
  assert_refused("0.0.0.0/0", "2001:db8::1");
  assert_allowed("::/0", "203.0.113.9");
}

static void test_a_mapped_address_is_the_ipv4_address_in_it(void **state)
{
  (void)state;
  assert_allowed("10.0.0.0/8", "::ffff:10.1.2.3");
  assert_allowed("10.0.0.0/8", "::ffff:a01:203");
  assert_allowed("::ffff:10.0.0.0/104", "10.1.2.3");
  assert_refused("10.0.0.0/8", "::10.1.2.3");
}

static void test_deny_is_stronger_than_allow(void **state)
{
  (void)state;
  struct config c = of(WORDS("10.0.0.0/8"), WORDS("10.66.0.0/16", "10.7.7.7"));
  assert_int_equal(asked(c, "10.1.1.1"), MCPAUTH_PASS);
  assert_int_equal(asked(c, "10.66.1.1"), MCPAUTH_DENY);
  assert_int_equal(asked(c, "::ffff:10.7.7.7"), MCPAUTH_DENY);
}

static void test_deny_alone_lets_all_others_pass(void **state)
{
  (void)state;
  struct config c = of(NULL, WORDS("10.0.0.0/8"));
  assert_int_equal(asked(c, "192.0.2.1"), MCPAUTH_PASS);
  assert_int_equal(asked(c, "10.0.0.1"), MCPAUTH_DENY);
}

static void test_a_unix_socket_is_allowed_by_its_word_only(void **state)
{
  (void)state;
  assert_int_equal(asked(of(WORDS("unix"), NULL), "unix"), MCPAUTH_PASS);
  assert_int_equal(asked(of(WORDS("::/0"), NULL), "unix"), MCPAUTH_DENY);
  assert_int_equal(asked(of(WORDS("unix"), NULL), "0.0.0.0"), MCPAUTH_DENY);
}

static void test_what_is_no_address_is_an_error(void **state)
{
  (void)state;
  const char *const odd[] = {"", "10.1", "localhost", "10.0.0.1 ", "fe80::1%eth0", "::1/128"};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    assert_int_equal(asked(of(WORDS("::/0"), NULL), odd[i]), MCPAUTH_ERROR);
}

static void test_what_is_no_network_is_refused_and_the_option_named(void **state)
{
  (void)state;
  const char *const odd[] = {"10.0.0.1/8",
                             "10.0.0.0/33",
                             "10.0.0.0/",
                             "10.0.0.0/08",
                             "10.0.0.0/+8",
                             "10.0.0/8",
                             "2001:db8::1/32",
                             "2001:db8::/129",
                             "example.com",
                             "",
                             "*",
                             "10.0.0.0/8/8",
                             "fe80::%1/10",
                             "Unix",
                             "010.0.0.0/8",
                             "::ffff:10.0.0.0/8"};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    struct config c = of(WORDS("192.0.2.1"), WORDS("192.0.2.2", odd[i]));
    reported[0] = 0;
    if (check(&fake, NULL, &c) == 0)
      fail_msg("%s was taken", odd[i]);
    assert_string_equal(reported, "deny");
  }
}

static void test_a_guard_without_networks_is_refused(void **state)
{
  (void)state;
  struct config c = of(NULL, NULL);
  assert_int_equal(check(&fake, NULL, &c), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
  const struct CMUnitTest tests[] = {
      TEST(test_a_network_covers_its_addresses_and_no_other),
      TEST(test_a_mapped_address_is_the_ipv4_address_in_it),
      TEST(test_deny_is_stronger_than_allow),
      TEST(test_deny_alone_lets_all_others_pass),
      TEST(test_a_unix_socket_is_allowed_by_its_word_only),
      TEST(test_what_is_no_address_is_an_error),
      TEST(test_what_is_no_network_is_refused_and_the_option_named),
      TEST(test_a_guard_without_networks_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
