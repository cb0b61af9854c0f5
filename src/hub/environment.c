/* The environment in two copies; see environment.h. */
#include <config.h>

#include "hub/environment.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/str.h"

static char **original; /* what env:NAME may name */
static char **visible;  /* what everybody sees */

static const char *const allowed[] = {"PATH", "HOME", "TMPDIR", "CREDENTIALS_DIRECTORY"};
static const char *const fixed[] = {"TZ=UTC", "LC_ALL=C"};

static const char *const dropped_prefixes[] = {"LD_",  "LTDL_",   "CURL_",  "OPENSSL_", "GNUTLS_",
                                               "SSL_", "MALLOC_", "GCONV_", "NLSPATH"};
static const char *const dropped_names[] = {
    "SSLKEYLOGFILE", "LISTEN_PID",    "LISTEN_FDS",      "LISTEN_FDNAMES",
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",    "TZ",
    "LC_ALL",        "LANG",          "MCPAUTH_HANDOVER"};

static struct str name_of(const char *entry)
{
  struct str s = str_of(entry);
  return str_slice(s, 0, str_chr(s, '='));
}

static bool is_allowed(struct str name)
{
  for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
    if (str_is(name, allowed[i]))
      return true;
  return false;
}

static bool is_dropped(struct str name)
{
  for (size_t i = 0; i < ARRAY_SIZE(dropped_prefixes); i++)
    if (str_starts(name, dropped_prefixes[i]))
      return true;
  for (size_t i = 0; i < ARRAY_SIZE(dropped_names); i++)
    if (str_is(name, dropped_names[i]))
      return true;
  static const char proxy[] = "_proxy"; /* http_proxy, HTTPS_PROXY, no_proxy, … */
  return name.n >= sizeof proxy - 1 &&
         str_iis(str_slice(name, name.n - (sizeof proxy - 1), name.n), proxy);
}

static int copy_entries(char **from, size_t n)
{
  size_t kept = 0, seen = 0;
  for (size_t i = 0; i < n; i++) {
    struct str name = name_of(from[i]);
    if (is_dropped(name))
      continue;
    if ((original[kept++] = strdup(from[i])) == NULL)
      return -1;
    if (is_allowed(name))
      visible[seen++] = original[kept - 1];
  }
  for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
    if ((visible[seen++] = strdup(fixed[i])) == NULL)
      return -1;
  return 0;
}

int environment_init(struct err *e)
{
  char **from = environ;
  size_t n = 0;
  while (from && from[n])
    n++;
  original = calloc(n + 1, sizeof *original);
  visible = calloc(n + ARRAY_SIZE(fixed) + 1, sizeof *visible);
  if (original == NULL || visible == NULL || copy_entries(from, n) < 0)
    return err_set(e, "out of memory");
  environ = visible;
  for (size_t i = 0; i < n; i++) /* so that /proc/PID/environ shows no secret either */
    if (!is_allowed(name_of(from[i])))
      explicit_bzero(from[i], strlen(from[i]));
  return 0;
}

void environment_reveal(void)
{
  environ = original;
}

void environment_hide(void)
{
  environ = visible;
}

char **environment_for_program(char *const *more, size_t n)
{
  size_t n_original = 0;
  while (original && original[n_original])
    n_original++;
  char **all = calloc(n_original + n + 1, sizeof *all);
  if (all && n_original)
    memcpy(all, original, n_original * sizeof *all);
  if (all && n)
    memcpy(all + n_original, more, n * sizeof *all);
  return all;
}

void environment_forget(void)
{
  environ = visible;
  for (char **at = original; at && *at; at++)
    if (!is_allowed(name_of(*at)))
      explicit_bzero(*at, strlen(*at));
  free(original);
  original = NULL;
}
