/* Findings of one load: errors and named lints with their positions.  Filled by every file of this
 * folder, read by `mcpauth check` and the leader. */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "config/config.h"
#include "config/tree.h"

enum { REPORT_ERRORS_MOST = 100, REPORT_WARNINGS_MOST = 100 };

struct findings {
  struct arena *arena;
  struct config_report *report;
  struct config_finding *room; /* REPORT_ERRORS_MOST + REPORT_WARNINGS_MOST + 1 */
  size_t kept_errors, kept_warnings;
};

/* -1 when out of memory: then the report has one error that says so. */
int findings_init(struct findings *f, struct arena *arena, struct config_report *report);
/* Errors past the most are counted, not kept. */
void report_error(struct findings *f, struct config_at at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_lint(struct findings *f, enum config_severity severity, struct config_at at,
                 const char *lint, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* "; did you mean 'x'?" in ARENA, or "". */
const char *report_nearest(struct arena *arena, struct str word, const char *const *names,
                           size_t n);
/* The same; without a near one, "; it is one of a, b, c". */
const char *report_choices(struct arena *arena, struct str word, const char *const *names,
                           size_t n);
/* Puts what was found in the order of FILES, lines and columns. */
void findings_sort(struct findings *f);

#endif
