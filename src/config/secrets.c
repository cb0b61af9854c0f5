/* Secret references; see secrets.h. */
#include "config/secrets.h"

#include <stdlib.h>
#include <string.h>

#include "config/binder.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

/* Values that stand in documentation, here and elsewhere, and are therefore nobody's secret. */
static const char *const published[] = {
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "secret",
    "password",
    "passwd",
    "example",
    "default",
    "admin",
    "test",
    "token",
    "mcpauth",
    "your-secret",
    "your-secret-here",
    "s3cr3t",
    "hunter2",
    "letmein",
    "insecure",
    "123456",
    "12345678",
    "your-256-bit-secret",
    "my-secret",
    "super-secret",
    "supersecret",
    "replace-me",
};

static void free_secret(void *p)
{
  secret_free(p);
}

/* An editor ends a file with a newline that is not part of the secret. */
static struct str without_newline(struct str s)
{
  return str_ends(s, "\n") ? str_slice(s, 0, s.n - 1) : s;
}

static bool is_published(struct str s)
{
  for (size_t i = 0; i < ARRAY_SIZE(published); i++)
    if (str_iis(s, published[i]))
      return true;
  return false;
}

static int read_env(struct str name, struct buf *out, struct err *e)
{
  const char *value;
  for (size_t i = 0; i < name.n; i++)
    if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", name.p[i]))
      return err_set(e, "'%s' is no name of an environment variable", name.p);
  if (name.n == 0 || (value = getenv(name.p)) == NULL)
    return err_set(e, "the environment variable '%s' is not set", name.p);
  return buf_puts(out, value);
}

static int read_file(struct binder *b, const struct word *word, const char *path, struct buf *out,
                     struct err *e)
{
  struct stat st;
  if (path[0] != '/')
    return err_set(e, "'file:' needs an absolute path");
  if (safefile_read_as(path, LIMIT_SECRET_FILE, false, b->user_id, out, &st, e) < 0)
    return -1;
  if (st.st_mode & S_IROTH)
    lint(b, "readable-secret", word->at, "%s can be read by others (mode %04o)", path,
         (unsigned)(st.st_mode & 07777));
  return 0;
}

static int read_credential(struct binder *b, const struct word *word, const char *name,
                           struct buf *out, struct err *e)
{
  char path[1024];
  const char *dir = getenv("CREDENTIALS_DIRECTORY");
  if (dir == NULL || dir[0] != '/')
    return err_set(e, "there is no CREDENTIALS_DIRECTORY: systemd sets it with LoadCredential=");
  if (name[0] == 0 || name[0] == '.' || strchr(name, '/'))
    return err_set(e, "'%s' is no name of a credential", name);
  if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
    return err_set(e, "the path of the credential is too long");
  return read_file(b, word, path, out, e);
}

static int read_reference(struct binder *b, const struct word *word, struct buf *out, struct err *e)
{
  const char *text = word->text.p;
  if (str_starts(word->text, "env:"))
    return read_env(str_slice(word->text, 4, word->text.n), out, e);
  if (str_starts(word->text, "file:"))
    return read_file(b, word, text + 5, out, e);
  if (str_starts(word->text, "credential:"))
    return read_credential(b, word, text + 11, out, e);
  return err_set(e, "a secret is never written here: refer to it with env:NAME, file:/PATH or "
                    "credential:NAME");
}

static int judge_content(struct str content, bool header, struct err *e)
{
  bool blank = true;
  for (size_t i = 0; i < content.n; i++) {
    unsigned char c = (unsigned char)content.p[i];
    blank = blank && (c == ' ' || c == '\t' || c == '\n' || c == '\r');
    if (header && (c < 0x20 || c > 0x7e))
      return err_set(e, "the secret contains a byte that a header cannot carry");
  }
  if (blank)
    return err_set(e, "the secret is empty");
  if (is_published(content))
    return err_set(e, "the secret is a well-known example value: make one of your own");
  return 0;
}

static const struct secret *resolve(struct binder *b, const struct word *word, bool header)
{
  struct err e = {""};
  CLEANUP(buf_wipe) struct buf bytes;
  buf_init(&bytes, LIMIT_SECRET_FILE);
  int r = read_reference(b, word, &bytes, &e);
  struct str content = without_newline(buf_view(&bytes));
  if (r < 0 || judge_content(content, header, &e) < 0) {
    report_error(b->f, word->at, "%s", e.text[0] ? e.text : "the secret is too long");
    return NULL;
  }
  struct secret *s = secret_new(content);
  if (s == NULL || arena_defer(b->arena, free_secret, s) < 0) {
    secret_free(s);
    bind_no_memory(b);
    return NULL;
  }
  char fingerprint[FINGERPRINT_SIZE];
  secret_fingerprint(content, fingerprint);
  snprintf(b->mark, sizeof b->mark, "fingerprint %s", fingerprint);
  bind_digest(b, content);
  return s;
}

const struct secret *secrets_resolve(struct binder *b, const struct word *word)
{
  return resolve(b, word, false);
}

const struct secret *secrets_resolve_header(struct binder *b, const struct word *word)
{
  return resolve(b, word, true);
}
