/* Feeds documents to the shipped gate: each is its length (four bytes, lowest first) and its bytes
 * on standard input; a line on standard output is what the gate says: the code of a refusal, or a
 * letter for the kind and then, for each member that is there, a letter, its length, a colon, its
 * bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "mcp/gate.h"

static void put(char letter, struct str s)
{
  if (s.p == NULL)
    return;
  printf("%c%zu:", letter, s.n);
  fwrite(s.p, 1, s.n, stdout);
}

static void say(struct str body, struct arena *a)
{
  static const char kinds[] = {
      [GATE_REQUEST] = 'R', [GATE_NOTIFICATION] = 'N', [GATE_RESPONSE] = 'A'};
  struct gate g;
  struct gate_fault f;
  if (gate_read(body, a, &g, &f) < 0) {
    printf("%d\n", f.code);
    return;
  }
  putchar(kinds[g.kind]);
  put('m', g.method);
  put('i', g.id);
  put('n', g.name);
  put('u', g.uri);
  put('t', g.task_id);
  put('y', g.ref_type);
  put('r', g.ref_name);
  put('f', g.ref_uri);
  put('v', g.meta_version);
  put('w', g.init_version);
  put('p', g.params);
  put('a', g.arguments);
  put('s', g.subscriptions);
  put('k', g.task_ids);
  putchar('\n');
}

int main(void)
{
  unsigned char head[4];
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    char *body = malloc(n + 1);
    struct arena *a = arena_new(1 << 20);
    if (body == NULL || a == NULL || fread(body, 1, n, stdin) != n)
      return 2;
    say((struct str){body, n}, a);
    arena_free(a);
    free(body);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
