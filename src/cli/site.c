/* The configuration of subcommands; see site.h. */
#include <config.h>

#include "cli/site.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "auth/loader.h"
#include "cli/blame.h"
#include "util/limits.h"

static int no_check(void *self, const struct config_provider *p, const char **ret_option,
                    struct err *e)
{
  (void)self;
  (void)p;
  (void)ret_option;
  (void)e;
  return 0;
}

static const char *first_error(const struct config_report *r)
{
  for (size_t i = 0; i < r->n; i++)
    if (r->v[i].severity == CONFIG_ERROR)
      return r->v[i].text;
  return "it cannot be read";
}

/* Whose files are judged: the hub's user, also when root looks. */
static unsigned user_of(const struct cli *cli, struct arena *arena)
{
  const char *user = ""; /* what cannot be read now is said by the load */
  bool found = geteuid() == 0 && config_user(cli->confdir, arena, &user, NULL) == 0;
  const struct passwd *pw = found && user[0] ? getpwnam(user) : NULL;
  return pw ? pw->pw_uid : geteuid();
}

static int load(const struct cli *cli, struct site *s, struct err *e)
{
  struct config_report report = {.n = 0};
  struct config_modules modules;
  s->report = arena_new(MIB(4));
  if (s->report == NULL)
    return err_set(e, "out of memory");
  if ((s->loader = blame_loader(cli, e)) == NULL)
    return -1;
  modules = loader_modules(s->loader);
  modules.check = no_check;
  s->config = config_load(cli->confdir, &modules, user_of(cli, s->report), s->report, &report);
  if (s->config)
    return 0;
  return err_set(e, "the configuration in %s does not load here: %s (mcpauth check says more)",
                 cli->confdir, first_error(&report));
}

int site_open(const struct cli *cli, struct site *ret, struct err *e)
{
  *ret = (struct site){.config = NULL};
  if (load(cli, ret, e) < 0) {
    site_done(ret);
    return -1;
  }
  const struct config *c = ret->config;
  ret->state_dir = cli->statedir ? cli->statedir : c->state_dir;
  if (c->audit_to != AUDIT_FILE)
    return 0;
  ret->audit_file =
      c->audit_file ? c->audit_file : arena_printf(c->arena, "%s/audit.log", ret->state_dir);
  if (ret->audit_file)
    return 0;
  site_done(ret);
  return err_set(e, "out of memory");
}

void site_done(struct site *s)
{
  config_free(s->config);
  loader_free(s->loader);
  arena_free(s->report);
  *s = (struct site){.config = NULL};
}

/* The value of a PATH option, found by the provider's own table. */
static const char *path_of(const struct config_provider *p, const char *option)
{
  for (const struct mcpauth_option *o = p->table->options; o && o->name; o++)
    if (o->type == MCPAUTH_PATH && strcmp(o->name, option) == 0)
      return *(const char *const *)(const void *)((const char *)p->config + o->offset);
  return NULL;
}

const char *site_path_option(const struct site *s, const char *module, const char *name,
                             const char *option, const char **ret_name, struct err *e)
{
  const struct config_provider *found = NULL;
  size_t n = 0;
  for (size_t i = 0; i < s->config->n_providers; i++) {
    const struct config_provider *p = &s->config->providers[i];
    if (strcmp(p->module, module) != 0 || (name && strcmp(p->name, name) != 0))
      continue;
    found = p;
    n++;
  }
  if (n > 1)
    err_set(e, "there are several %s providers: which one? Give --provider", module);
  else if (n == 0 && name)
    err_set(e, "no stack names a %s provider '%.60s'", module, name);
  else if (n == 0)
    err_set(e, "no stack names a %s provider: give --file", module);
  const char *path = n == 1 ? path_of(found, option) : NULL;
  if (n == 1 && path == NULL)
    err_set(e, "the provider '%s' has no %s", found->name, option);
  if (path)
    *ret_name = found->name;
  return path;
}

gid_t site_group(const struct cli *cli)
{
  struct arena *a = arena_new(MIB(4));
  const char *user = "";
  struct err e;
  if (a && config_user(cli->confdir, a, &user, &e) < 0)
    user = "";
  const struct passwd *pw = user[0] ? getpwnam(user) : NULL;
  const struct group *g = pw ? NULL : getgrnam("mcpauth");
  arena_free(a);
  return pw ? pw->pw_gid : g ? g->gr_gid : getegid();
}
