/* src/http/address.c: networks, and the client behind trusted proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "http/address.h"
#include "util/cleanup.h"

static struct sockaddr_storage peer_of(const char *text)
{
  struct sockaddr_storage ss = {0};
  struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
  if (strcmp(text, "unix") == 0)
    ss.ss_family = AF_UNIX;
  else if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
    ss.ss_family = AF_INET;
  else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
    ss.ss_family = AF_INET6;
  return ss;
}

static void test_a_network_has_the_addresses_of_its_prefix(void **state)
{
  static const struct {
    const char *net, *peer;
    bool want;
  } rows[] = {
      {"10.0.0.0/8", "10.255.1.2", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"192.168.4.0/22", "192.168.7.255", true},
      {"192.168.4.0/22", "192.168.8.0", false},
      {"10.0.0.1", "10.0.0.1", true},
      {"10.0.0.1", "10.0.0.2", false},
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::/0", "2001:db8::1", true},
      {"10.0.0.0/8", "::1", false},
      {"unix", "unix", true},
      {"unix", "127.0.0.1", false},
      {"0.0.0.0/0", "unix", false},
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    struct cidr c;
    struct sockaddr_storage ss = peer_of(rows[i].peer);
    assert_int_equal(cidr_parse(str_of(rows[i].net), &c, NULL), 0);
    if (networks_have(&(struct networks){&c, 1}, (struct sockaddr *)&ss) != rows[i].want)
      fail_msg("%s in %s", rows[i].peer, rows[i].net);
  }
}

static void test_what_is_no_network_is_refused(void **state)
{
  static const char *const rows[] = {
      "",        "10.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08",
      "::1/129", "host",   "10.0.0.0/",   "1.2.3.4/8/8", "0x7f.0.0.1"};
  struct cidr c;
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
    assert_int_equal(cidr_parse(str_of(rows[i]), &c, NULL), -1);
}

static void expect(const char *peer, const char *forwarded, const char *second, const char *want)
{
  struct cidr c;
  char out[64];
  struct http_header h[2] = {{STR("X-Forwarded-For"), str_of(forwarded)},
                             {STR("x-forwarded-for"), str_of(second)}};
  struct http_request rq = {.headers = h, .n_headers = second ? 2 : 1, .peer = peer_of(peer)};
  strcpy(rq.peer_address, peer);
  assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &c, NULL), 0);
  client_address(&rq, &(struct networks){&c, 1}, out, sizeof out);
  assert_string_equal(out, want);
}

/* row 42 */
static void test_forwarded_addresses_count_only_from_trusted_proxies(void **state)
{
  (void)state;
  expect("192.0.2.1", "198.51.100.9", NULL, "192.0.2.1");
  expect("10.0.0.1", "198.51.100.9", NULL, "198.51.100.9");
  expect("10.0.0.1", "1.1.1.1, 198.51.100.9, 10.0.0.2", NULL, "198.51.100.9");
  expect("10.0.0.1", "1.1.1.1", "198.51.100.9 ,10.9.9.9", "198.51.100.9");
  expect("192.0.2.1", "junk", NULL, "192.0.2.1");
  expect("10.0.0.1", "", NULL, "10.0.0.1");
  expect("10.0.0.1", "10.0.0.7", NULL, "10.0.0.7");
}

static void test_a_port_behind_a_forwarded_address_is_left_out(void **state)
{
  (void)state;
  expect("10.0.0.1", "1.1.1.1, 198.51.100.9:4711, 10.0.0.2:80", NULL, "198.51.100.9");
  expect("10.0.0.1", "[2001:db8::9]:4711", NULL, "2001:db8::9");
  expect("10.0.0.1", "[2001:db8::9]", NULL, "2001:db8::9");
  expect("10.0.0.1", "2001:db8::9", NULL, "2001:db8::9");
}

/* row 42: who is passed on by a proxy of ours is not the proxy. */
static void test_what_cannot_be_read_behind_a_trusted_proxy_is_nobodys_address(void **state)
{
  static const char *const rows[] = {
      "junk",
      "unknown",
      "_hidden",
      "203.0.113.5, junk, 10.0.0.2",
      "10.0.0.2:",
      "10.0.0.2:x",
      "10.0.0.2:123456",
      "10.0.0.2:1:2",
      "[10.0.0.2]:80",
      "[::ffff:10.0.0.2",
      "[]:80",
      "[2001:db8::9]80",
      "10.0.0.2,",
      "[2001:db8::9]:",
      ":80",
      "[",
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
    expect("10.0.0.1", rows[i], NULL, "unknown");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_network_has_the_addresses_of_its_prefix),
      cmocka_unit_test(test_what_is_no_network_is_refused),
      cmocka_unit_test(test_forwarded_addresses_count_only_from_trusted_proxies),
      cmocka_unit_test(test_a_port_behind_a_forwarded_address_is_left_out),
      cmocka_unit_test(test_what_cannot_be_read_behind_a_trusted_proxy_is_nobodys_address),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
