/* Header and parameter names; see header_names.h. */
#include "config/header_names.h"

#include <string.h>

#include "util/cleanup.h"

enum {
  NO_CREDENTIAL = 1 << HEADER_CREDENTIAL,
  NO_INJECT = 1 << HEADER_INJECT,
  NO_FORWARD = 1 << HEADER_FORWARD,
  NO_RETURN = 1 << HEADER_RETURN,
  NEVER = NO_CREDENTIAL | NO_INJECT | NO_FORWARD | NO_RETURN,
};

/* A name that ends in '-' stands for all that begin so. */
static const struct {
  const char *name;
  unsigned no;
  const char *why;
} rules[] = {
    {"connection", NEVER, "belongs to the connection"},
    {"keep-alive", NEVER, "belongs to the connection"},
    {"proxy-", NEVER, "belongs to the connection"},
    {"te", NEVER, "belongs to the connection"},
    {"trailer", NEVER, "belongs to the connection"},
    {"transfer-encoding", NEVER, "frames the message"},
    {"upgrade", NEVER, "belongs to the connection"},
    {"content-length", NEVER, "frames the message"},
    {"content-encoding", NEVER, "is the hub's own matter"},
    {"expect", NEVER, "belongs to the connection"},
    {"host", NEVER, "is the hub's own matter"},
    {"content-type", NEVER, "is always passed"},
    {"accept", NEVER, "is always passed"},
    {"origin", NEVER, "is judged by the hub"},
    {"mcp-", NEVER, "is the protocol's own"},
    {"access-control-", NEVER, "is the hub's own matter"},
    {"www-authenticate", NEVER, "is the hub's own matter"},
    {"set-cookie", NEVER, "would set cookies in the hub's name"},
    {"authorization", NO_CREDENTIAL | NO_FORWARD | NO_RETURN,
     "carries credentials: use `accept bearer` or `upstream_auth`"},
    {"cookie", NEVER, "carries credentials of other sites"},
    {"forwarded", NEVER, "states who is calling, which only the hub may"},
    {"x-forwarded-", NEVER, "states who is calling, which only the hub may"},
    {"x-real-ip", NEVER, "states who is calling, which only the hub may"},
    {"x-remote-", NO_CREDENTIAL | NO_FORWARD | NO_RETURN,
     "states who is calling, which only the hub may"},
    {"remote-", NO_CREDENTIAL | NO_FORWARD | NO_RETURN,
     "states who is calling, which only the hub may"},
    {"x-mcpauth-", NEVER, "states who is calling, which only the hub may"},
    {"x-request-id", NEVER, "is the hub's own"},
    {"strict-transport-security", NEVER, "is the hub's own matter"},
    {"content-security-policy", NEVER, "is the hub's own matter"},
    {"alt-svc", NEVER, "is the hub's own matter"},
    {"date", NO_CREDENTIAL | NO_INJECT | NO_RETURN, "is the hub's own"},
};

static bool token_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool covers(const char *rule, struct str name)
{
  struct str r = str_of(rule);
  return str_ends(r, "-") ? str_ieq(str_slice(name, 0, r.n), r) : str_ieq(name, r);
}

int header_name_check(struct str name, enum header_use use, struct err *e)
{
  bool good = name.n > 0 && name.n <= 64;
  for (size_t i = 0; i < name.n; i++)
    good = good && token_char(name.p[i]);
  if (!good)
    return err_set(e, "'%.*s' is no name of a header field", STR_ARG(name));
  for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
    if ((rules[i].no & 1u << use) && covers(rules[i].name, name))
      return err_set(e, "'%.*s' %s", STR_ARG(name), rules[i].why);
  return 0;
}

int query_name_check(struct str name, struct err *e)
{
  bool good = name.n > 0 && name.n <= 64;
  for (size_t i = 0; i < name.n; i++) {
    char c = name.p[i];
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("._~-", c));
  }
  return good ? 0 : err_set(e, "'%.*s' is no name of a query parameter", STR_ARG(name));
}
