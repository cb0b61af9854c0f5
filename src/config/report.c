/* Findings of one load; see report.h. */
#include "config/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static struct config_finding no_memory = {CONFIG_ERROR, {NULL, 0, 0}, NULL, "out of memory"};

int findings_init(struct findings *f, struct arena *arena, struct config_report *report)
{
  *report = (struct config_report){0};
  *f = (struct findings){.arena = arena, .report = report};
  f->room = arena_array(arena, REPORT_ERRORS_MOST + REPORT_WARNINGS_MOST + 1, sizeof *f->room);
  if (f->room) {
    report->v = f->room;
    return 0;
  }
  *report = (struct config_report){.v = &no_memory, .n = 1, .errors = 1};
  return -1;
}

/* Whether one more of SEVERITY is kept; counts it in any case. */
static bool room_for(struct findings *f, enum config_severity severity)
{
  if (severity == CONFIG_WARNING) {
    f->report->warnings++;
    return f->kept_warnings++ < REPORT_WARNINGS_MOST;
  }
  f->report->errors++;
  return f->kept_errors++ < REPORT_ERRORS_MOST;
}

static void add(struct findings *f, enum config_severity severity, struct config_at at,
                const char *lint, const char *format, va_list ap)
    __attribute__((format(printf, 5, 0)));
static void add(struct findings *f, enum config_severity severity, struct config_at at,
                const char *lint, const char *format, va_list ap)
{
  char text[1024];
  if (f->room == NULL || !room_for(f, severity))
    return;
  vsnprintf(text, sizeof text, format, ap);
  char *kept = arena_dup(f->arena, str_of(text));
  if (at.file) /* the report outlives what was loaded */
    at.file = arena_dup(f->arena, str_of(at.file));
  f->room[f->report->n++] = (struct config_finding){
      .severity = severity, .at = at, .lint = lint, .text = kept ? kept : "out of memory"};
}

void report_error(struct findings *f, struct config_at at, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  add(f, CONFIG_ERROR, at, NULL, format, ap);
  va_end(ap);
}

static bool same_file(const struct config_at *a, const struct config_at *b)
{
  return str_eq(str_of(a->file), str_of(b->file));
}

void report_lint(struct findings *f, enum config_severity severity, struct config_at at,
                 const char *lint, const char *format, ...)
{
  va_list ap;
  for (size_t i = 0; f->room && i < f->report->n; i++) /* one stack, many services: said once */
    if (f->room[i].lint && strcmp(f->room[i].lint, lint) == 0 && same_file(&f->room[i].at, &at) &&
        f->room[i].at.line == at.line && f->room[i].at.column == at.column)
      return;
  va_start(ap, format);
  add(f, severity, at, lint, format, ap);
  va_end(ap);
}

const char *report_nearest(struct arena *arena, struct str word, const char *const *names, size_t n)
{
  const char *near = str_nearest(word, names, n);
  char *text = near ? arena_printf(arena, "; did you mean '%s'?", near) : NULL;
  return text ? text : "";
}

const char *report_choices(struct arena *arena, struct str word, const char *const *names, size_t n)
{
  const char *near = report_nearest(arena, word, names, n);
  char *text = near[0] == 0 && n ? arena_printf(arena, "; it is one of %s", names[0]) : NULL;
  for (size_t i = 1; text && i < n; i++)
    text = arena_printf(arena, "%s, %s", text, names[i]);
  return text ? text : near;
}

/* Files are read in C-locale order, so their names sort as they were read; what is about the whole
 * comes first. */
static int compare(const void *pa, const void *pb)
{
  const struct config_finding *a = pa, *b = pb;
  int by_file = strcmp(a->at.file ? a->at.file : "", b->at.file ? b->at.file : "");
  if (by_file)
    return by_file;
  if (a->at.line != b->at.line)
    return a->at.line < b->at.line ? -1 : 1;
  if (a->at.column != b->at.column)
    return a->at.column < b->at.column ? -1 : 1;
  return (int)a->severity - (int)b->severity;
}

void findings_sort(struct findings *f)
{
  if (f->room == NULL)
    return;
  qsort(f->room, f->report->n, sizeof *f->room, compare);
  if (f->kept_errors > REPORT_ERRORS_MOST)
    f->room[f->report->n++] = (struct config_finding){
        CONFIG_ERROR, {NULL, 0, 0}, NULL, "more errors follow; these were the first 100"};
}

void config_finding_print(const struct config_finding *f, FILE *to)
{
  if (f->at.file && f->at.line)
    fprintf(to, "%s:%u:%u: ", f->at.file, f->at.line, f->at.column);
  else if (f->at.file)
    fprintf(to, "%s: ", f->at.file);
  fprintf(to, "%s: %s", f->severity == CONFIG_ERROR ? "error" : "warning", f->text);
  if (f->lint)
    fprintf(to, " [%s]", f->lint);
  fputc('\n', to);
}
