/* The stack evaluator; see stack.h. */
#include "auth/stack.h"

static const char *const verdicts[] = {
    [VERDICT_DENY] = "DENY", [VERDICT_UNAVAILABLE] = "UNAVAILABLE", [VERDICT_GRANT] = "GRANT"};

const char *verdict_name(enum verdict v)
{
  return v <= VERDICT_GRANT ? verdicts[v] : "DENY";
}

void stack_init(struct stack_state *s)
{
  *s = (struct stack_state){0};
}

/* One line in one reading.  What comes after a decision does not count in it. */
static void read_line(struct stack_reading *r, enum control control, enum mcpauth_result result,
                      bool refused)
{
  if (r->decided)
    return;
  bool ok = result == MCPAUTH_OK;
  switch (control) {
  case CONTROL_REQUIRED:
  case CONTROL_REQUISITE:
    r->grantor |= ok;
    r->failed |= !ok && result != MCPAUTH_PASS;
    return;
  case CONTROL_SUFFICIENT:
    r->grantor |= ok;
    r->decided = ok && !r->failed && !refused;
    return;
  case CONTROL_OPTIONAL:
    return;
  }
  r->failed = true; /* no control at all */
}

bool stack_step(struct stack_state *s, enum control control, enum mcpauth_result result)
{
  bool known = result_name(result) != NULL;
  s->refused |= !known || result == MCPAUTH_ERROR || result == MCPAUTH_DENY;
  read_line(&s->actual, control, result, s->refused);
  read_line(&s->hopeful, control, result == MCPAUTH_UNAVAIL ? MCPAUTH_OK : result, s->refused);
  if (result == MCPAUTH_DENY || s->actual.decided)
    return true;
  return control == CONTROL_REQUISITE && result != MCPAUTH_OK && result != MCPAUTH_PASS;
}

static bool grants(const struct stack_reading *r)
{
  return r->grantor && !r->failed;
}

enum verdict stack_verdict(const struct stack_state *s)
{
  if (s->refused)
    return VERDICT_DENY;
  if (grants(&s->actual))
    return VERDICT_GRANT;
  return grants(&s->hopeful) ? VERDICT_UNAVAILABLE : VERDICT_DENY;
}
