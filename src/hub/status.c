/* The daemon's state as JSON, for `mcpauth status`; see master_state.h. */
#include <config.h>

#include "hub/master_state.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"

static json_int_t seconds_since(int64_t mono_ms)
{
  return (clock_mono_ms() - mono_ms) / 1000;
}

static json_t *member_json(struct shm *shm, const struct link_member *w)
{
  return json_pack("{s:i, s:i, s:b, s:I, s:I}", "number", (int)w->number, "pid", (int)w->pid,
                   "ready", (int)w->ready, "uptime", seconds_since(w->started_ms), "connections",
                   (json_int_t)shm_value_of(shm, w->pid, METRIC_CONNECTIONS_OPEN));
}

static const char *state_name(enum generation_state s)
{
  switch (s) {
  case GENERATION_LOADING:
    return "loading";
  case GENERATION_SERVING:
    return "serving";
  case GENERATION_ENDING:
    return "draining";
  }
  return "unknown";
}

static json_t *generation_json(struct shm *shm, const struct generation *g)
{
  json_t *workers = json_array(), *admin = json_null();
  for (size_t i = 0; i < g->n_crew; i++)
    if (g->crew[i].number)
      json_array_append_new(workers, member_json(shm, &g->crew[i]));
    else
      admin = member_json(shm, &g->crew[i]);
  return json_pack("{s:I, s:s, s:s, s:b, s:i, s:I, s:i, s:o, s:o}", "generation",
                   (json_int_t)g->number, "state", state_name(g->state), "version", g->version,
                   "inherited", (int)g->inherited, "leader", g->pid, "uptime",
                   seconds_since(g->started_ms), "services", (int)g->facts.services, "workers",
                   workers, "admin", admin);
}

static bool is_ready(const struct generation *g)
{
  for (size_t i = 0; g && i < g->n_crew; i++)
    if (g->crew[i].number && g->crew[i].ready)
      return true;
  return false;
}

static json_t *reloads_json(const struct master *m)
{
  return json_pack("{s:I, s:I, s:I, s:s?}", "ok", (json_int_t)shm_total(m->shm, METRIC_RELOADS),
                   "failed", (json_int_t)shm_total(m->shm, METRIC_RELOADS_FAILED), "last",
                   (json_int_t)(m->last_wall_ms / 1000), "last_error", m->last_error);
}

void status_say(struct master *m, struct control_client *c)
{
  json_t *generations = json_array();
  for (const struct generation *g = m->generations; g; g = g->next)
    json_array_append_new(generations, generation_json(m->shm, g));
  json_t *all = json_pack(
      "{s:s, s:i, s:I, s:b, s:b, s:I, s:I, s:I, s:o, s:o, s:o}", "version", PACKAGE_VERSION, "pid",
      (int)getpid(), "uptime", seconds_since(m->started_ms), "ready", (int)is_ready(m->serving),
      "stopping", (int)m->stopping, "generation", (json_int_t)(m->serving ? m->serving->number : 0),
      "connections", (json_int_t)shm_total(m->shm, METRIC_CONNECTIONS_OPEN), "worker_crashes",
      (json_int_t)shm_total(m->shm, METRIC_WORKER_CRASHES), "reloads", reloads_json(m),
      "generations", generations, "listeners", listeners_json(m->listeners));
  char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
  control_say(c, str_of(text));
  control_say(c, STR("\n"));
  free(text);
  json_decref(all);
}
