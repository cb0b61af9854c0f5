/* The verifier of audit logs: any file is judged, and records count only with a good chain: since
 * no input can have been made with the key of this run, each that looks like a record is a fault.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ops/audit_chain.h"
#include "ops/audit_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void note(void *arg, bool fault, const char *file, uint64_t line, const char *text)
{
  (void)file;
  (void)line;
  for (const char *c = text; *c; c++) /* printed to terminals */
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      abort();
  *(uint64_t *)arg += fault;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  static const unsigned char key[32] = "no log was made with this key..";
  char path[64];
  uint64_t told = 0;
  struct err e = {""};
  struct audit_record r;
  struct audit_verify_result result;
  int fd = memfd_create("log", 0);
  if (fd < 0 || write(fd, p, n) != (ssize_t)n)
    abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  struct audit_verify *v = audit_verify_new(key, note, &told, &e);
  if (v == NULL)
    abort();
  int read = audit_verify_file(v, path, &e);
  audit_verify_result(v, &result);
  if (read == 0 && result.records > result.faults)
    abort();
  if (told > result.faults)
    abort();
  audit_verify_free(v);
  close(fd);
  if (audit_record_parse((struct str){(const char *)p, n}, &r) &&
      (!audit_writer_valid(r.writer) || r.head.n == 0 || r.body.n >= n))
    abort();
  return 0;
}
