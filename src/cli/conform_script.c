/* What a provider's test needs to know beyond its option table; see conform.h.  Lines of words. */
#include <config.h>

#include "cli/conform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum { LINE_SIZE = 8192 };

const char *scene_name(enum scene s)
{
  static const char *const names[SCENES] = {
      [SCENE_VALID] = "valid",     [SCENE_EXPIRED] = "expired",     [SCENE_AUDIENCE] = "audience",
      [SCENE_ISSUER] = "issuer",   [SCENE_GARBAGE] = "garbage",     [SCENE_ERROR] = "error",
      [SCENE_LIMITED] = "limited", [SCENE_MALFORMED] = "malformed", [SCENE_OVERSIZED] = "oversized",
      [SCENE_SLOW] = "slow",       [SCENE_TIMEOUT] = "timeout",
  };
  return names[s];
}

static int scene_of(struct str word)
{
  for (int s = 0; s < SCENES; s++)
    if (str_is(word, scene_name((enum scene)s)))
      return s;
  return -1;
}

/* The first word of *REST, which keeps what follows the blanks behind it. */
static struct str cut_word(struct str *rest)
{
  size_t n = str_chr(*rest, ' ');
  struct str word = str_slice(*rest, 0, n);
  *rest = str_trim(str_slice(*rest, n, rest->n));
  return word;
}

static int read_skip(struct script *s, struct str rest, struct arena *a)
{
  struct str rule = cut_word(&rest);
  if (s->n_skip == SCRIPT_OPTIONS || rest.n == 0)
    return -1;
  s->skip[s->n_skip] = arena_dup(a, rule);
  s->skip_why[s->n_skip++] = arena_dup(a, rest);
  return 0;
}

static int read_file(struct script *s, struct str rest, struct arena *a)
{
  struct str name = cut_word(&rest);
  if (s->n_files == SCRIPT_FILES || str_chr(name, '/') < name.n || name.n == 0)
    return -1;
  s->files[s->n_files] = arena_dup(a, name);
  s->contents[s->n_files++] = arena_dup(a, rest);
  return 0;
}

static int read_path(struct script *s, struct str rest, struct arena *a)
{
  struct str path = cut_word(&rest);
  if (s->n_paths == SCRIPT_FILES || rest.n == 0)
    return -1;
  s->path[s->n_paths] = arena_dup(a, path);
  s->at[s->n_paths++] = arena_dup(a, rest);
  return 0;
}

static int read_scene(struct script *s, struct str kind, struct str rest, struct arena *a)
{
  int at = scene_of(cut_word(&rest));
  uint64_t status;
  if (at < 0 || rest.n == 0)
    return -1;
  if (str_is(kind, "credential"))
    s->credential[at] = arena_dup(a, rest);
  else if (str_is(kind, "address"))
    s->address[at] = arena_dup(a, rest);
  else if (str_is(kind, "expect"))
    s->expect[at] = arena_dup(a, rest);
  else if (str_is(kind, "reply") && str_u64(cut_word(&rest), 599, &status)) {
    s->status[at] = (int)status;
    s->reply[at] = arena_dup(a, rest);
  } else
    return -1;
  return 0;
}

static int read_line(struct script *s, struct str line, struct arena *a)
{
  line = str_trim(line);
  if (line.n == 0 || line.p[0] == '#')
    return 0;
  struct str kind = cut_word(&line);
  if (str_is(kind, "option")) {
    if (s->n_options == SCRIPT_OPTIONS)
      return -1;
    s->options[s->n_options++] = arena_dup(a, line);
    return 0;
  }
  if (str_is(kind, "play")) {
    s->login = str_is(line, "login");
    return s->login ? 0 : -1;
  }
  if (str_is(kind, "at"))
    return read_path(s, line, a);
  if (str_is(kind, "skip"))
    return read_skip(s, line, a);
  if (str_is(kind, "file"))
    return read_file(s, line, a);
  return read_scene(s, kind, line, a);
}

int script_read(const char *path, struct arena *a, struct script *ret, struct err *e)
{
  char line[LINE_SIZE];
  unsigned number = 0;
  *ret = (struct script){.n_options = 0};
  if (path == NULL)
    return 0;
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return err_set(e, "%s cannot be read", path);
  int r = 0;
  while (r == 0 && fgets(line, sizeof line, f)) {
    number++;
    line[strcspn(line, "\n")] = 0;
    if (read_line(ret, str_of(line), a) < 0)
      r = err_set(e, "%s:%u: not understood", path, number);
  }
  fclose(f);
  return r;
}

const char *script_skips(const struct script *s, const char *rule)
{
  for (size_t i = 0; i < s->n_skip; i++)
    if (strcmp(s->skip[i], rule) == 0)
      return s->skip_why[i];
  return NULL;
}
