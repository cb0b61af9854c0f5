/* mcpauth completion bash|zsh|fish: what a shell needs to complete command lines, made from the
 * table of commands: their names, the actions that follow, the options in their synopses.  Printed
 * at build time into what is installed. */
#include <config.h>

#include "cli/cli.h"

#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"

static const char global_options[] = "--config --state-dir --control --plugin-dir --help --version";

/* Every `--word` of the synopsis, once, with SEP before each but the first. */
static void put_options(struct buf *b, const struct cli_command *c, const char *sep)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
  const char *text = c->synopsis;
  for (const char *p = strstr(text, "--"); p; p = strstr(p + 2, "--")) {
    size_t n = 2 + strspn(p + 2, letters);
    bool again = n == 2;
    for (const char *q = strstr(text, "--"); q && q < p && !again; q = strstr(q + 2, "--"))
      again = strncmp(p, q, n) == 0 && strchr(letters, q[n]) == NULL;
    if (!again)
      buf_printf(b, "%s%.*s", b->n ? sep : "", (int)n, p);
  }
  buf_printf(b, "%s--help", b->n ? sep : "");
}

static void print_names(void)
{
  for (size_t i = 0; cli_commands[i]; i++)
    printf("%s ", cli_commands[i]->name);
  fputs(global_options, stdout);
}

/* `case` of bash and zsh: $words become what may follow $command and $action. */
static void print_case(void)
{
  fputs("  case $command in\n    '') words='", stdout);
  print_names();
  puts("' ;;");
  for (size_t i = 0; cli_commands[i]; i++) {
    const struct cli_command *c = cli_commands[i];
    CLEANUP(buf_done) struct buf options;
    buf_init(&options, KIB(4));
    put_options(&options, c, " ");
    printf("    %s) words='%s'", c->name, options.p ? options.p : "");
    if (c->actions)
      printf("; [ -n \"$action\" ] || words=\"%s $words\"", c->actions);
    puts(" ;;");
  }
  puts("  esac");
}

static void print_walk(const char *array, const char *from, const char *to)
{
  printf("  local command= action= words= i\n"
         "  for ((i = %s; i < %s; i++)); do\n"
         "    case ${%s[i]} in\n"
         "      -c | --config | --state-dir | --control | --plugin-dir) ((i++)) ;;\n"
         "      -*) ;;\n"
         "      *) if [ -z \"$command\" ]; then command=${%s[i]}\n"
         "         elif [ -z \"$action\" ]; then action=${%s[i]}; fi ;;\n"
         "    esac\n"
         "  done\n",
         from, to, array, array, array);
}

static void print_bash(void)
{
  puts("# bash completion of mcpauth, made by `mcpauth completion bash`.\n"
       "_mcpauth () {\n"
       "  local cur=${COMP_WORDS[COMP_CWORD]}");
  print_walk("COMP_WORDS", "1", "COMP_CWORD");
  print_case();
  puts("  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
       "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
       "}\n"
       "complete -o filenames -F _mcpauth mcpauth");
}

static void print_zsh(void)
{
  puts("#compdef mcpauth\n"
       "# zsh completion of mcpauth, made by `mcpauth completion zsh`.\n"
       "_mcpauth () {\n"
       "  local -a line\n"
       "  line=(\"${words[@]}\")");
  print_walk("line", "2", "CURRENT");
  print_case();
  puts("  compadd -- ${=words} || _files\n"
       "}\n"
       "_mcpauth \"$@\"");
}

static void print_quoted(const char *text)
{
  putchar('\'');
  for (; *text; text++) {
    if (*text == '\'')
      putchar('\\');
    putchar(*text);
  }
  putchar('\'');
}

/* `-l WORD` of OPTIONS, where CONDITION holds; -r: a value follows. */
static void print_fish_options(const char *condition, const char *options, bool values)
{
  struct str rest = str_of(options), word;
  while (str_next(&rest, ' ', &word))
    printf("complete -c mcpauth -n '%s' -l %.*s%s\n", condition, (int)word.n - 2, word.p + 2,
           values && !str_is(word, "--help") && !str_is(word, "--version") ? " -r" : "");
}

static void print_fish_command(const struct cli_command *c)
{
  char condition[64];
  CLEANUP(buf_done) struct buf options;
  buf_init(&options, KIB(4));
  put_options(&options, c, " ");
  printf("complete -c mcpauth -f -n __mcpauth_at -a %s -d ", c->name);
  print_quoted(c->summary);
  putchar('\n');
  if (c->actions)
    printf("complete -c mcpauth -f -n '__mcpauth_at %s no-action' -a '%s'\n", c->name, c->actions);
  snprintf(condition, sizeof condition, "__mcpauth_at %s", c->name);
  print_fish_options(condition, options.p ? options.p : "", false);
}

static void print_fish(void)
{
  puts("# fish completion of mcpauth, made by `mcpauth completion fish`.\n"
       "function __mcpauth_line # command and action: what is no option and no value of one\n"
       "  set -l value no\n"
       "  for word in (commandline -opc)[2..-1]\n"
       "    if test $value = yes\n"
       "      set value no\n"
       "      continue\n"
       "    end\n"
       "    switch $word\n"
       "      case -c --config --state-dir --control --plugin-dir\n"
       "        set value yes\n"
       "      case '-*'\n"
       "      case '*'\n"
       "        echo $word\n"
       "    end\n"
       "  end\n"
       "end\n"
       "function __mcpauth_at # nowhere yet, behind COMMAND, or right behind it\n"
       "  set -l line (__mcpauth_line)\n"
       "  switch (count $argv)\n"
       "    case 0\n"
       "      test (count $line) -eq 0\n"
       "    case 1\n"
       "      test \"$line[1]\" = $argv[1]\n"
       "    case 2\n"
       "      test (count $line) -eq 1 -a \"$line[1]\" = $argv[1]\n"
       "  end\n"
       "end");
  print_fish_options("__mcpauth_at", global_options, true);
  puts("complete -c mcpauth -n __mcpauth_at -s c -r");
  for (size_t i = 0; cli_commands[i]; i++)
    print_fish_command(cli_commands[i]);
}

static int run(const struct cli *cli, int argc, char **argv)
{
  (void)cli;
  if (argc == 2 && strcmp(argv[1], "bash") == 0)
    print_bash();
  else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
    print_zsh();
  else if (argc == 2 && strcmp(argv[1], "fish") == 0)
    print_fish();
  else
    return cli_usage(&cmd_completion, "for which shell: bash, zsh or fish?");
  return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

const struct cli_command cmd_completion = {
    .name = "completion",
    .actions = "bash zsh fish",
    .synopsis = "bash|zsh|fish",
    .summary = "print what a shell needs to complete command lines",
    .example = ". <(mcpauth completion bash)",
    .run = run,
};
