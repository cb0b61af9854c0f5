/* What the tests of the audit log share: a scratch folder, files as text, the verifier's answer. */
#ifndef TESTS_AUDIT_SUPPORT_H
#define TESTS_AUDIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ops/audit.h"
#include "ops/audit_verify.h"

static char dir[64];
static unsigned char key[32] = "0123456789abcdef0123456789abcde";

static inline int setup(void **state)
{
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/mcpauth-audit.XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

static inline const char *in_dir(const char *name)
{
  static char paths[8][128];
  static unsigned at;
  char *p = paths[at++ % 8];
  snprintf(p, 128, "%s/%s", dir, name);
  return p;
}

static inline char *slurp(const char *path, size_t *ret_n)
{
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  size_t n = (size_t)ftell(f);
  rewind(f);
  char *p = malloc(n + 1);
  assert_non_null(p);
  assert_int_equal(fread(p, 1, n, f), n);
  p[n] = 0;
  fclose(f);
  *ret_n = n;
  return p;
}

static inline void spill(const char *path, const char *p, size_t n)
{
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(p, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static inline struct audit_options options(const char *writer)
{
  struct audit_options o = {.to = AUDIT_FILE, .writer = writer, .keep = 5};
  memcpy(o.key, key, sizeof key);
  return o;
}

static inline struct audit *open_audit(const struct audit_options *o, struct loop *l,
                                       struct jobs *j)
{
  struct err e = {""};
  struct audit *a = audit_open(o, l, j, &e);
  if (a == NULL)
    print_error("%s\n", e.text);
  assert_non_null(a);
  return a;
}

/* The verdict over some files. */
struct verdict {
  struct audit_verify_result r;
  unsigned remarks;
  uint64_t first_line; /* of the first fault */
  char first_fault[400];
  bool quiet;
};

static inline void take(void *arg, bool fault, const char *file, uint64_t line, const char *text)
{
  struct verdict *v = arg;
  v->remarks += !fault;
  if (fault && v->first_fault[0] == 0) {
    v->first_line = line;
    snprintf(v->first_fault, sizeof v->first_fault, "%s:%llu: %s", file, (unsigned long long)line,
             text);
  }
}

/* FILES end with NULL; ANCHORS: the state directory, or NULL. */
static inline struct verdict verify(const char *const *files, const char *anchors)
{
  struct verdict v = {.quiet = false};
  struct err e = {""};
  struct audit_verify *x = audit_verify_new(key, take, &v, &e);
  assert_non_null(x);
  if (anchors)
    assert_int_equal(audit_verify_read_anchors(x, anchors, &e), 0);
  for (; *files; files++)
    assert_int_equal(audit_verify_file(x, *files, &e), 0);
  audit_verify_anchors(x);
  audit_verify_result(x, &v.r);
  audit_verify_free(x);
  return v;
}

static inline struct verdict verify_one(const char *file)
{
  return verify((const char *const[]){file, NULL}, NULL);
}

#endif
