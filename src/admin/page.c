/* The metrics page; see page.h. */
#include <config.h>

#include "admin/page.h"

#include <inttypes.h>
#include <string.h>

/* HELP and TYPE come once for all metrics of a name; the table keeps those together. */
static void head(const struct metric_info *m, const struct metric_info *before, struct buf *out)
{
  if (before && strcmp(before->name, m->name) == 0)
    return;
  buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

static void sample(const struct metric_info *m, uint64_t value, struct buf *out)
{
  buf_puts(out, m->name);
  if (m->labels[0])
    buf_printf(out, "{%s}", m->labels);
  if (strcmp(m->type, "gauge") == 0)
    buf_printf(out, " %" PRId64 "\n", (int64_t)value);
  else
    buf_printf(out, " %" PRIu64 "\n", value);
}

int page_metrics(struct shm *shm, uint64_t generation, struct buf *out)
{
  for (int i = 0; i < METRIC_COUNT; i++) {
    const struct metric_info *m = &metric_info[i];
    head(m, i ? m - 1 : NULL, out);
    sample(m, shm_total(shm, (enum metric)i), out);
  }
  buf_printf(out,
             "# HELP mcpauth_generation Generation of the configuration that answers\n"
             "# TYPE mcpauth_generation gauge\nmcpauth_generation %" PRIu64 "\n",
             generation);
  buf_puts(out, "# HELP mcpauth_build_info Always 1\n# TYPE mcpauth_build_info gauge\n"
                "mcpauth_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
  return out->failed ? -1 : 0;
}
