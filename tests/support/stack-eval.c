/* Feeds stacks to the shipped evaluator: a line of `control:RESULT control:RESULT ...` on standard
 * input (an empty line is the empty stack) becomes GRANT, DENY or UNAVAILABLE on standard output.
 * RESULT is a name or a number, which is handed over as it is.  Any other line ends it with
 * status 2. */
#include <stdio.h>
#include <stdlib.h>

#include "auth/stack.h"

static bool parse_result(struct str word, enum mcpauth_result *ret)
{
  char digits[16];
  char *end;
  if (result_parse(word, ret))
    return true;
  if (word.n == 0 || word.n >= sizeof digits)
    return false;
  for (size_t i = 0; i < word.n; i++)
    digits[i] = word.p[i];
  digits[word.n] = 0;
  *ret = (enum mcpauth_result)strtol(digits, &end, 10);
  return *end == 0;
}

static bool evaluate(struct str line, enum verdict *ret)
{
  struct stack_state s;
  struct str word;
  bool decided = false;
  stack_init(&s);
  while (line.n && str_next(&line, ' ', &word)) {
    size_t colon = str_chr(word, ':');
    enum control control;
    enum mcpauth_result result;
    if (!control_parse(str_slice(word, 0, colon), &control) ||
        !parse_result(str_slice(word, colon + 1, word.n), &result))
      return false;
    if (!decided) /* the rest must be well-formed, but it is not run */
      decided = stack_step(&s, control, result);
  }
  *ret = stack_verdict(&s);
  return true;
}

int main(void)
{
  char *line = NULL;
  size_t size = 0;
  for (ssize_t n; (n = getline(&line, &size, stdin)) >= 0;) {
    enum verdict v;
    struct str s = {line, (size_t)n - (n && line[n - 1] == '\n')};
    if (!evaluate(s, &v)) {
      fprintf(stderr, "stack-eval: '%.*s' is no stack\n", STR_ARG(s));
      return 2;
    }
    puts(verdict_name(v));
  }
  free(line);
  return fflush(stdout) == 0 ? 0 : 1;
}
