/* The table of special-purpose addresses (RFC 6890 and the IANA registries it founded); see
 * reach.h. IPv6 is told what is allowed (2000::/3) rather than what is not: IPv4-mapped and
 * -compatible addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), unique local, link-local,
 * site-local and multicast all lie outside. */
#include "http/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

static const struct {
  uint32_t prefix;
  unsigned bits;
} special4[] = {
    {0x00000000, 8},  /* 0.0.0.0/8 this network */
    {0x0a000000, 8},  /* 10.0.0.0/8 private */
    {0x64400000, 10}, /* 100.64.0.0/10 carrier-grade NAT */
    {0x7f000000, 8},  /* 127.0.0.0/8 loopback */
    {0xa9fe0000, 16}, /* 169.254.0.0/16 link-local, cloud metadata */
    {0xac100000, 12}, /* 172.16.0.0/12 private */
    {0xc0000000, 24}, /* 192.0.0.0/24 protocol assignments */
    {0xc0000200, 24}, /* 192.0.2.0/24 documentation */
    {0xc0586300, 24}, /* 192.88.99.0/24 6to4 relays */
    {0xc0a80000, 16}, /* 192.168.0.0/16 private */
    {0xc6120000, 15}, /* 198.18.0.0/15 benchmarks */
    {0xc6336400, 24}, /* 198.51.100.0/24 documentation */
    {0xcb007100, 24}, /* 203.0.113.0/24 documentation */
    {0xe0000000, 4},  /* 224.0.0.0/4 multicast */
    {0xf0000000, 4},  /* 240.0.0.0/4 reserved, broadcast */
};

/* Inside 2000::/3; the first 64 bits. */
static const struct {
  uint64_t prefix;
  unsigned bits;
} special6[] = {
    {0x2001000000000000, 23}, /* 2001::/23 protocol assignments: Teredo, benchmarks, ORCHID */
    {0x20010db800000000, 32}, /* 2001:db8::/32 documentation */
    {0x2002000000000000, 16}, /* 2002::/16 6to4 */
    {0x3ffe000000000000, 16}, /* 3ffe::/16 6bone, given back */
    {0x3fff000000000000, 20}, /* 3fff::/20 documentation */
};

static bool public4(uint32_t a)
{
  for (size_t i = 0; i < ARRAY_SIZE(special4); i++)
    if ((a ^ special4[i].prefix) >> (32 - special4[i].bits) == 0)
      return false;
  return true;
}

static bool public6(const struct in6_addr *a)
{
  uint64_t high = 0;
  for (int i = 0; i < 8; i++)
    high = high << 8 | a->s6_addr[i];
  if (high >> 61 != 1)
    return false;
  for (size_t i = 0; i < ARRAY_SIZE(special6); i++)
    if ((high ^ special6[i].prefix) >> (64 - special6[i].bits) == 0)
      return false;
  return true;
}

static bool allows4(enum reach policy, const struct sockaddr_in *in)
{
  uint32_t a = ntohl(in->sin_addr.s_addr);
  if (policy != REACH_PUBLIC && a >> 24 == 127)
    return true;
  return policy != REACH_LOOPBACK && ntohs(in->sin_port) == 443 && public4(a);
}

static bool allows6(enum reach policy, const struct sockaddr_in6 *in)
{
  if (policy != REACH_PUBLIC && IN6_IS_ADDR_LOOPBACK(&in->sin6_addr))
    return true;
  return policy != REACH_LOOPBACK && ntohs(in->sin6_port) == 443 && public6(&in->sin6_addr);
}

bool reach_allows(enum reach policy, const struct sockaddr *address)
{
  if (policy == REACH_ANY)
    return true;
  if (address->sa_family == AF_INET)
    return allows4(policy, (const struct sockaddr_in *)(const void *)address);
  if (address->sa_family == AF_INET6)
    return allows6(policy, (const struct sockaddr_in6 *)(const void *)address);
  return false;
}
