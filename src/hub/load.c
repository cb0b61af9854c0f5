/* Reading the configuration in the leader; see load.h. */
#include <config.h>

#include "hub/load.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/environment.h"
#include "hub/link.h"
#include "ops/log.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- providers, with a word to the master before each may crash or hang */

static void stage(const struct load *ld, const char *what, const char *name)
{
  char text[200];
  int n = snprintf(text, sizeof text, "%s '%s'", what, name);
  link_text(ld->args->link_fd, LINK_STAGE, (struct str){text, n < 199 ? (size_t)n : 199});
}

static const struct mcpauth_provider *staged_load(void *self, const char *module,
                                                  struct arena *arena, const char **ret_path,
                                                  struct err *e)
{
  const struct load *ld = self;
  stage(ld, "loading the provider", module);
  const struct mcpauth_provider *p = ld->modules.load(ld->modules.self, module, arena, ret_path, e);
  stage(ld, "reading the configuration after loading", module);
  return p;
}

static int staged_check(void *self, const struct config_provider *p, const char **ret_option,
                        struct err *e)
{
  const struct load *ld = self;
  stage(ld, "running the check of the provider", p->name);
  int r = ld->modules.check(ld->modules.self, p, ret_option, e);
  stage(ld, "reading the configuration after the check of", p->name);
  return r;
}

static size_t plain_names(void *self, struct arena *arena, const char ***ret)
{
  const struct load *ld = self;
  return ld->modules.names(ld->modules.self, arena, ret);
}

/* ---- findings as text */

static char *finding_text(const struct config_finding *f)
{
  char *text = NULL;
  size_t n = 0;
  FILE *to = open_memstream(&text, &n);
  if (to == NULL)
    return NULL;
  config_finding_print(f, to);
  if (fclose(to) != 0)
    return NULL;
  text[strcspn(text, "\n")] = 0;
  return text;
}

static void collect_errors(const struct load *ld, struct buf *errors)
{
  for (size_t i = 0; i < ld->report.n; i++) {
    if (ld->report.v[i].severity != CONFIG_ERROR)
      continue;
    AUTO_FREE char *text = finding_text(&ld->report.v[i]);
    buf_puts(errors, text ? text : "out of memory");
    buf_putc(errors, '\n');
  }
  if (errors->n == 0)
    buf_puts(errors, "the configuration could not be read\n");
}

void load_log_warnings(const struct load *ld)
{
  for (size_t i = 0; i < ld->report.n; i++) {
    const char *lint = ld->report.v[i].lint;
    if (ld->report.v[i].severity != CONFIG_WARNING)
      continue;
    if (lint && strcmp(lint, "no-service") == 0)
      continue; /* the master says that, and what to do next */
    AUTO_FREE char *text = finding_text(&ld->report.v[i]);
    if (text)
      log_warn("%s", text);
  }
}

/* ---- is it new? */

/* The files of the providers count too, so that an upgraded one is taken up by a reload. */
static int make_identity(struct load *ld)
{
  unsigned char digest[32];
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, MIB(1));
  buf_printf(&b, "%s\n%s\n", ld->config->fingerprint, ld->config->state_dir);
  for (size_t i = 0; i < ld->config->n_providers; i++) {
    const struct config_provider *p = &ld->config->providers[i];
    struct stat st = {0};
    if (p->path && stat(p->path, &st) < 0)
      return -1;
    buf_printf(&b, "%s %llu %llu %lld %lld.%09ld\n", p->path ? p->path : p->module,
               (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long long)st.st_size,
               (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  }
  if (b.failed || EVP_Digest(b.p, b.n, digest, NULL, EVP_sha256(), NULL) != 1)
    return -1;
  buf_clear(&b);
  hex_encode(&b, (struct str){(const char *)digest, sizeof digest});
  memcpy(ld->identity, b.p, sizeof ld->identity);
  return 0;
}

/* ---- reading */

static int own_user(const struct load *ld, struct err *e)
{
  struct identity wanted;
  const char *user = ld->config->user;
  if (user == NULL)
    return 0;
  if (privileges_find(user, &wanted, e) < 0)
    return -1;
  if (wanted.uid == geteuid())
    return 0;
  if (ld->args->user->name[0])
    return err_set(e, "user '%s': the user changes at a restart only (now '%s')", user,
                   ld->args->user->name);
  if (geteuid() == 0)
    log_warn("user '%s' is taken up at a restart only: this goes on as root", user);
  else
    log_warn("user '%s' is not taken up: mcpauthd was not started as root", user);
  return 0;
}

/* What the command line says wins over the configuration. */
static int settle(struct load *ld, struct err *e)
{
  if (ld->args->state_dir)
    ld->config->state_dir = ld->args->state_dir;
  if (ld->config->state_dir == NULL || ld->config->state_dir[0] != '/')
    return err_set(e, "state_dir is not an absolute path");
  if (ld->config->audit_to == AUDIT_FILE && ld->config->audit_file == NULL)
    ld->config->audit_file = arena_printf(ld->config->arena, "%s/audit.log", ld->config->state_dir);
  if (ld->config->audit_to == AUDIT_FILE && ld->config->audit_file == NULL)
    return err_set(e, "out of memory");
  if (own_user(ld, e) < 0)
    return -1;
  return make_identity(ld) < 0 ? err_set(e, "cannot look at the providers: %s", strerror(errno))
                               : 0;
}

static int open_loader(struct load *ld, struct err *e)
{
  ld->report_arena = arena_new(MIB(4));
  if (ld->report_arena == NULL)
    return err_set(e, "out of memory");
  if ((ld->loader = loader_new(ld->args->plugin_dir, e)) == NULL)
    return -1;
  ld->modules = loader_modules(ld->loader);
  return 0;
}

int load_config(struct load *ld, const struct leader_args *args, struct buf *errors)
{
  struct err e = {""};
  const struct config_modules staged = {ld, staged_load, staged_check, plain_names};
  *ld = (struct load){.args = args};
  if (open_loader(ld, &e) < 0) {
    buf_printf(errors, "%s\n", e.text);
    return -1;
  }
  stage(ld, "reading the configuration in", args->confdir);
  environment_reveal();
  ld->config = config_load(args->confdir, &staged, geteuid(), ld->report_arena, &ld->report);
  environment_hide();
  if (ld->config == NULL) {
    collect_errors(ld, errors);
    return -1;
  }
  if (settle(ld, &e) < 0) {
    buf_printf(errors, "%s: error: %s\n", args->confdir, e.text);
    return -1;
  }
  return 0;
}
