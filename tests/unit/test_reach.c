/* Rows 107, 108: the table of addresses that a URL of a stranger's may lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <cmocka.h>

#include "http/reach.h"
#include "util/cleanup.h"

struct address {
  struct sockaddr_storage s;
};

static const struct sockaddr *address(struct address *a, const char *text, int port)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *)&a->s;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->s;
  memset(a, 0, sizeof *a);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
  } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
  } else {
    fail_msg("%s is no address", text);
  }
  return (const struct sockaddr *)&a->s;
}

static const char *const inside[] = {"0.0.0.0",
                                     "0.1.2.3",
                                     "10.0.0.0",
                                     "10.255.255.255",
                                     "100.64.0.0",
                                     "100.127.255.255",
                                     "127.0.0.1",
                                     "127.255.255.255",
                                     "169.254.0.1",
                                     "169.254.169.254",
                                     "172.16.0.0",
                                     "172.31.255.255",
                                     "192.0.0.1",
                                     "192.0.0.170",
                                     "192.0.2.7",
                                     "192.88.99.1",
                                     "192.168.0.1",
                                     "192.168.255.255",
                                     "198.18.0.0",
                                     "198.19.255.255",
                                     "198.51.100.9",
                                     "203.0.113.255",
                                     "224.0.0.1",
                                     "239.255.255.255",
                                     "240.0.0.1",
                                     "255.255.255.255",
                                     "::",
                                     "::1",
                                     "::7f00:1",
                                     "::ffff:127.0.0.1",
                                     "::ffff:10.0.0.1",
                                     "::ffff:8.8.8.8",
                                     "::ffff:0:8.8.8.8",
                                     "64:ff9b::a00:1",
                                     "64:ff9b::808:808",
                                     "64:ff9b:1::1",
                                     "100::1",
                                     "2001::1",
                                     "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                                     "2001:2::1",
                                     "2001:10::1",
                                     "2001:20::1",
                                     "2001:1ff:ffff::1",
                                     "2001:db8::1",
                                     "2001:db8:ffff::1",
                                     "2002::1",
                                     "2002:7f00:1::1",
                                     "2002:a00:1::",
                                     "3ffe::1",
                                     "3fff::1",
                                     "3fff:fff::1",
                                     "4000::1",
                                     "5f00::1",
                                     "1fff::1",
                                     "fc00::1",
                                     "fd12:3456::1",
                                     "fe80::1",
                                     "febf::1",
                                     "fec0::1",
                                     "ff02::1",
                                     "ff0e::1"};

static const char *const outside[] = {"1.0.0.1",
                                      "1.1.1.1",
                                      "8.8.8.8",
                                      "9.255.255.255",
                                      "11.0.0.0",
                                      "100.63.255.255",
                                      "100.128.0.0",
                                      "126.255.255.255",
                                      "128.0.0.0",
                                      "169.253.255.255",
                                      "169.255.0.0",
                                      "172.15.255.255",
                                      "172.32.0.0",
                                      "192.0.1.0",
                                      "192.0.3.0",
                                      "192.88.98.1",
                                      "192.88.100.1",
                                      "192.167.255.255",
                                      "192.169.0.0",
                                      "198.17.255.255",
                                      "198.20.0.0",
                                      "198.51.99.1",
                                      "198.51.101.1",
                                      "203.0.112.1",
                                      "203.0.114.1",
                                      "223.255.255.255",
                                      "2000::1",
                                      "2001:200::1",
                                      "2001:4860:4860::8888",
                                      "2001:db7:ffff::1",
                                      "2001:db9::1",
                                      "2003::1",
                                      "2606:4700:4700::1111",
                                      "2a00:1450::1",
                                      "3ffd::1",
                                      "3fff:1000::1"};

static void test_special_addresses_are_not_public(void **state)
{
  (void)state;
  struct address a;
  for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
    if (reach_allows(REACH_PUBLIC, address(&a, inside[i], 443)))
      fail_msg("%s is allowed", inside[i]);
}

static void test_their_neighbours_are_public_on_443_only(void **state)
{
  (void)state;
  struct address a;
  for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
    if (!reach_allows(REACH_PUBLIC, address(&a, outside[i], 443)))
      fail_msg("%s is refused", outside[i]);
    assert_false(reach_allows(REACH_PUBLIC, address(&a, outside[i], 80)));
    assert_false(reach_allows(REACH_PUBLIC, address(&a, outside[i], 8443)));
    assert_true(reach_allows(REACH_PUBLIC_OR_LOOPBACK, address(&a, outside[i], 443)));
    assert_false(reach_allows(REACH_PUBLIC_OR_LOOPBACK, address(&a, outside[i], 22)));
    assert_false(reach_allows(REACH_LOOPBACK, address(&a, outside[i], 443)));
  }
}

static void test_loopback_is_reached_only_by_those_who_say_so(void **state)
{
  (void)state;
  static const char *const loopback[] = {"127.0.0.1", "127.1.2.3", "::1"};
  struct address a;
  for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
    assert_true(reach_allows(REACH_LOOPBACK, address(&a, loopback[i], 8080)));
    assert_true(reach_allows(REACH_PUBLIC_OR_LOOPBACK, address(&a, loopback[i], 8080)));
    assert_false(reach_allows(REACH_PUBLIC, address(&a, loopback[i], 443)));
  }
  for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
    if (strncmp(inside[i], "127.", 4) == 0 || strcmp(inside[i], "::1") == 0)
      continue;
    assert_false(reach_allows(REACH_LOOPBACK, address(&a, inside[i], 443)));
    assert_false(reach_allows(REACH_PUBLIC_OR_LOOPBACK, address(&a, inside[i], 443)));
  }
}

static void test_other_families_need_a_url_of_the_administrators(void **state)
{
  (void)state;
  struct address a = {{.ss_family = AF_UNIX}};
  assert_true(reach_allows(REACH_ANY, (const struct sockaddr *)&a.s));
  assert_false(reach_allows(REACH_LOOPBACK, (const struct sockaddr *)&a.s));
  assert_false(reach_allows(REACH_PUBLIC, (const struct sockaddr *)&a.s));
  assert_false(reach_allows(REACH_PUBLIC_OR_LOOPBACK, (const struct sockaddr *)&a.s));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_special_addresses_are_not_public),
      cmocka_unit_test(test_their_neighbours_are_public_on_443_only),
      cmocka_unit_test(test_loopback_is_reached_only_by_those_who_say_so),
      cmocka_unit_test(test_other_families_need_a_url_of_the_administrators),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
