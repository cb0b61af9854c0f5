#include "cli/blame.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text)
{
  if (write(STDERR_FILENO, text, strlen(text)) < 0)
    return; /* nobody is there to be told */
}

/* Only what is safe in a handler (signal-safety(7)). */
static void on_crash(int signal)
{
  const char *file = loader_at_work;
  if (file) {
    say("mcpauth: ");
    say(file);
    say(": the provider crashes while it is loaded or checks its options (has its option table an "
        "end?); `mcpauth provider test` tries it rule by rule\n");
  }
  raise(signal); /* SA_RESETHAND: it kills now */
}

struct loader *blame_loader(const struct cli *cli, struct err *e)
{
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  struct sigaction a = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};
  for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
    sigaction(crashes[i], &a, NULL);
  return loader_new(cli->plugindir, e);
}
