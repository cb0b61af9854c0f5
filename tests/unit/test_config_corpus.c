/* Runs tests/config/broken.txt and valid.txt through config_bind.  tests/config/README has the
 * format.  Rows 81, 121, 138 to 145. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/bind.h"
#include "../support/fake_modules.h"

enum { CASE_MOST = 65536, MARKS_MOST = 8 };

static char dir[] = "/tmp/mcpauth-corpus-XXXXXX";

static const struct {
  const char *name, *text;
} bases[] = {
    {"hub", "hub { public_url http://127.0.0.1:8080 }\n"},
    {"tokens", "provider tokens { file /etc/tokens }\n"},
    {"corp", "provider corp { module issuers; issuer https://login.example.com }\n"},
    {"staff", "hub { public_url http://127.0.0.1:8080; auth include staff }\n"
              "provider tokens { file /etc/tokens }\n"
              "stack staff { auth required tokens }\n"},
    {"scopes", "scope notes:read { text Read }\nscope notes:write { text Write }\n"},
    {"svc", "service svc { path /svc; upstream http://127.0.0.1:9/; auth required tokens }\n"},
};

/* ---- one case */

struct mark {
  unsigned line, column;
};

struct corpus_case {
  char title[256], bases[128];
  char *text;
  size_t n;
  struct mark marks[MARKS_MOST];
  size_t n_marks;
  char want[MARKS_MOST][200];
  size_t n_want;
};

/* Copies LINE with its escapes undone; columns count characters. */
static void add_line(struct corpus_case *c, const char *line, unsigned number)
{
  unsigned column = 1;
  for (const char *p = line; *p;) {
    unsigned byte;
    if (strncmp(p, "<!>", 3) == 0) {
      assert_true(c->n_marks < MARKS_MOST);
      c->marks[c->n_marks++] = (struct mark){number, column};
      p += 3;
      continue;
    }
    if (strncmp(p, "<dir>", 5) == 0) {
      memcpy(c->text + c->n, dir, strlen(dir));
      c->n += strlen(dir);
      column += (unsigned)strlen(dir);
      p += 5;
      continue;
    }
    if (p[0] == '<' && p[1] && p[2] && p[3] == '>' && sscanf(p, "<%2X>", &byte) == 1) {
      c->text[c->n] = (char)byte;
      p += 4;
    } else {
      c->text[c->n] = *p++;
    }
    if (((unsigned char)c->text[c->n++] & 0xc0) != 0x80)
      column++;
  }
}

static FILE *corpus(const char *name)
{
  char path[1024];
  const char *top = getenv("srcdir");
  snprintf(path, sizeof path, "%s/tests/config/%s", top ? top : "..", name);
  FILE *f = fopen(path, "r");
  if (f == NULL)
    fail_msg("%s cannot be opened", path);
  return f;
}

/* The next case of F; false at the end.  LINE holds the `---` line that was read ahead. */
static bool next_case(FILE *f, char line[4096], struct corpus_case *c)
{
  char *text = c->text;
  unsigned number = 0;
  while (line[0] == 0 || strncmp(line, "---", 3) != 0)
    if (fgets(line, 4096, f) == NULL)
      return false;
  *c = (struct corpus_case){.text = text};
  char *bar = strchr(line, '|');
  snprintf(c->bases, sizeof c->bases, "%s", bar ? bar + 1 : "");
  if (bar)
    *bar = 0;
  snprintf(c->title, sizeof c->title, "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
  while (fgets(line, 4096, f) && strncmp(line, "---", 3) != 0) {
    if (line[0] == '!' && number == 0) {
      snprintf(c->want[c->n_want++], sizeof c->want[0], "%.*s", (int)strcspn(line + 2, "\n"),
               line + 2);
      continue;
    }
    add_line(c, line, ++number);
  }
  if (strncmp(line, "---", 3) != 0)
    line[0] = 0;
  return true;
}

static size_t sources_of(const struct corpus_case *c, struct config_source *v)
{
  size_t n = 0;
  for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
    const char *at = strstr(c->bases, bases[i].name);
    if (at)
      v[n++] = (struct config_source){bases[i].name, str_of(bases[i].text)};
  }
  v[n++] = (struct config_source){"case.conf", {c->text, c->n}};
  return n;
}

static struct config *load(const struct config_source *v, size_t n, struct arena *arena,
                           struct config_report *report)
{
  struct findings f;
  assert_int_equal(findings_init(&f, arena, report), 0);
  struct config *c = config_bind("/conf", v, n, &fake_modules, geteuid(), &f);
  findings_sort(&f);
  return c;
}

static bool found(const struct config_report *r, const struct corpus_case *c, size_t i)
{
  for (size_t k = 0; k < r->n; k++) {
    const struct config_finding *f = &r->v[k];
    bool there =
        i >= c->n_marks || (f->at.file && strcmp(f->at.file, "case.conf") == 0 &&
                            f->at.line == c->marks[i].line && f->at.column == c->marks[i].column);
    char text[1200];
    snprintf(text, sizeof text, "%s [%s]", f->text, f->lint ? f->lint : "");
    if (there && f->severity == CONFIG_ERROR && strstr(text, c->want[i]))
      return true;
  }
  return false;
}

static void show(const struct corpus_case *c, const struct config_report *r)
{
  fprintf(stderr, "case: %s\n", c->title);
  for (size_t i = 0; i < r->n; i++)
    config_finding_print(&r->v[i], stderr);
}

static bool refuses(const struct corpus_case *c)
{
  struct config_source v[8];
  struct config_report r;
  struct arena *arena = arena_new(1 << 20);
  struct config *config = load(v, sources_of(c, v), arena, &r);
  bool good = config == NULL && r.errors == c->n_want && c->n_want > 0;
  for (size_t i = 0; good && i < c->n_want; i++)
    good = found(&r, c, i);
  if (!good)
    show(c, &r);
  config_free(config);
  arena_free(arena);
  return good;
}

/* Whether the I-th warning was given: "NAME" or "NAME words of it", at its mark where there is one.
 */
static bool has_warning(const struct config_report *r, const struct corpus_case *c, size_t i)
{
  size_t name = strcspn(c->want[i], " ");
  const char *words = c->want[i][name] ? c->want[i] + name + 1 : "";
  for (size_t k = 0; k < r->n; k++) {
    const struct config_finding *f = &r->v[k];
    bool there =
        i >= c->n_marks || (f->at.line == c->marks[i].line && f->at.column == c->marks[i].column);
    if (there && f->lint && strlen(f->lint) == name && strncmp(f->lint, c->want[i], name) == 0 &&
        strstr(f->text, words))
      return true;
  }
  return false;
}

/* The effective configuration loads to itself: same text, same fingerprint. */
static bool prints_itself(const struct config *config)
{
  struct config_report r;
  struct arena *arena = arena_new(1 << 20);
  struct config_source v = {"printed.conf", str_of(config->canonical)};
  struct config *again = load(&v, 1, arena, &r);
  bool same = again && strcmp(again->canonical, config->canonical) == 0 &&
              strcmp(again->fingerprint, config->fingerprint) == 0;
  if (!same)
    fprintf(stderr, "printed:\n%s\nagain:\n%s\n%s\n", config->canonical,
            again ? again->canonical : "(refused)", r.n ? r.v[0].text : "");
  config_free(again);
  arena_free(arena);
  return same;
}

static bool accepts(const struct corpus_case *c)
{
  struct config_source v[8];
  struct config_report r;
  struct arena *arena = arena_new(1 << 20);
  struct config *config = load(v, sources_of(c, v), arena, &r);
  bool good = config && r.errors == 0 && r.warnings == c->n_want;
  for (size_t i = 0; good && i < c->n_want; i++)
    good = has_warning(&r, c, i);
  good = good && prints_itself(config);
  if (!good)
    show(c, &r);
  config_free(config);
  arena_free(arena);
  return good;
}

static void run_file(const char *name, bool (*judge)(const struct corpus_case *), size_t least)
{
  char line[4096] = "";
  size_t n = 0, failed = 0;
  struct corpus_case c = {.text = malloc(CASE_MOST)};
  FILE *f = corpus(name);
  while (next_case(f, line, &c)) {
    n++;
    failed += !judge(&c);
  }
  fclose(f);
  free(c.text);
  print_message("%s: %zu cases, %zu failed\n", name, n, failed);
  assert_int_equal(failed, 0);
  assert_true(n >= least);
}

/* rows 81, 121, 138, 139, 140, 142, 143, 144 and 145: nothing broken loads, and each says where
 */
static void test_every_broken_configuration_is_refused_at_its_place(void **state)
{
  (void)state;
  run_file("broken.txt", refuses, 200);
}

static void test_every_valid_configuration_loads_and_prints_itself(void **state)
{
  (void)state;
  run_file("valid.txt", accepts, 20);
}

/* ---- the files that cases name */

static void put(const char *name, mode_t mode, const char *content)
{
  char path[256];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(content, f);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path, mode), 0);
}

static void put_pair(const char *certificate, const char *key)
{
  char path[256];
  EVP_PKEY *pkey = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  assert_true(pkey && x);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, pkey);
  assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
  put(certificate, 0644, "");
  put(key, 0600, "");
  snprintf(path, sizeof path, "%s/%s", dir, certificate);
  FILE *f = fopen(path, "w");
  assert_true(f && PEM_write_X509(f, x));
  fclose(f);
  snprintf(path, sizeof path, "%s/%s", dir, key);
  f = fopen(path, "w");
  assert_true(f && PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL));
  fclose(f);
  X509_free(x);
  EVP_PKEY_free(pkey);
}

static int set_up(void **state)
{
  (void)state;
  umask(022);
  assert_non_null(mkdtemp(dir));
  put("good.key", 0600, "correct horse battery staple\n");
  put("group.key", 0640, "correct horse battery staple\n");
  put("readable.key", 0644, "correct horse battery staple\n");
  put("writable.key", 0620, "correct horse battery staple\n");
  put("empty.key", 0600, "");
  put("newline.key", 0600, "\n");
  put("published.key", 0600, "ChangeMe\n");
  put("lines.key", 0600, "one\ntwo\n");
  put("ca.pem", 0644, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  put("no.pem", 0644, "nothing\n");
  put_pair("server.pem", "server.key");
  put_pair("other.pem", "other.key");
  setenv("GOOD", "correct horse battery staple", 1);
  setenv("SHORT", "fifteen bytes !", 1);
  setenv("EMPTY", "", 1);
  setenv("PUBLISHED", "secret", 1);
  setenv("BLANK", "  ", 1);
  setenv("LINES", "a\r\nX-Evil: 1", 1);
  unsetenv("UNSET");
  unsetenv("CREDENTIALS_DIRECTORY");
  return 0;
}

static int tear_down(void **state)
{
  static const char *const names[] = {"good.key",  "group.key",   "readable.key", "writable.key",
                                      "empty.key", "newline.key", "lines.key",    "published.key",
                                      "ca.pem",    "no.pem",      "server.pem",   "server.key",
                                      "other.pem", "other.key"};
  char path[256];
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  return rmdir(dir);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_broken_configuration_is_refused_at_its_place),
      cmocka_unit_test(test_every_valid_configuration_loads_and_prints_itself),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
