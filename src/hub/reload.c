/* Requests to reload, coalesced; see master_state.h. */
#include <config.h>

#include "hub/master_state.h"

#include <stdlib.h>
#include <string.h>

#include "hub/notify.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { PACE_MS = 250 };

void reload_add(struct control_client **list, struct control_client *c)
{
  if (c == NULL)
    return;
  *control_link(c) = *list;
  *list = c;
}

static void drop(struct control_client **list, struct control_client *c)
{
  for (; *list; list = control_link(*list))
    if (*list == c) {
      *list = *control_link(c);
      return;
    }
}

void reload_forget(struct master *m, struct control_client *c)
{
  drop(&m->asked, c);
  drop(&m->next, c);
  drop(&m->replace.asked, c);
}

void reload_answer(struct control_client *list, struct str text, const char *error)
{
  for (struct control_client *c = list, *next; c; c = next) {
    next = *control_link(c);
    control_say(c, text);
    if (text.n && text.p[text.n - 1] != '\n')
      control_say(c, STR("\n"));
    control_finish(c, error);
  }
}

static void load_now(struct master *m)
{
  notify_reloading();
  notify_status("reloading");
  if (master_load(m) < 0) {
    notify_ready();
    reload_done(m, RELOAD_FAILED, "cannot start a leader: see the log");
  }
}

void reload_pace(struct timer *t)
{
  struct master *m = container_of(t, struct master, pace);
  if (!m->loading && !m->retiring &&
      !m->stopping) /* else what began in the meantime answers those who wait */
    load_now(m);
}

/* A generation serves for a moment before the next one may follow: in a storm of requests those
 * that drain would else be ended before their clients are answered. */
static void load_soon(struct master *m)
{
  int64_t wait = m->serving_since_ms + PACE_MS - clock_mono_ms();
  if (m->pace.slot)
    return;
  if (m->serving == NULL || wait <= 0 || loop_timer_set(m->loop, &m->pace, wait) < 0)
    load_now(m);
}

void reload_ask(struct master *m, struct control_client *c)
{
  if (m->stopping) {
    if (c)
      control_finish(c, "the daemon is stopping");
    return;
  }
  if (m->loading || m->retiring || m->replace.checked) {
    m->again = true;
    reload_add(&m->next, c);
    return;
  }
  reload_add(&m->asked, c);
  load_soon(m);
}

static void count(struct master *m, enum reload_result result, const char *text)
{
  if (result == RELOAD_STARTED)
    return;
  metric_add(result == RELOAD_FAILED ? METRIC_RELOADS_FAILED : METRIC_RELOADS, 1);
  m->last_wall_ms = clock_wall_ms();
  free(m->last_error);
  m->last_error = result == RELOAD_FAILED ? strdup(text) : NULL;
}

void reload_record_failure(struct master *m, const char *text)
{
  count(m, RELOAD_FAILED, text);
  if (m->serving)
    link_text(m->serving->link.fd, LINK_REFUSED_RELOAD, str_of(text));
}

static void answer_all(struct master *m, struct control_client *list, enum reload_result result,
                       const char *text)
{
  char line[160] = "";
  unsigned long long number = m->serving ? (unsigned long long)m->serving->number : 0;
  switch (result) {
  case RELOAD_STARTED:
  case RELOAD_TAKEN:
    if (m->serving == NULL) {
      reload_answer(list, STR(""),
                    "the new generation was taken up and has died since: no generation serves, "
                    "another one is being started (see the log)");
      break;
    }
    snprintf(line, sizeof line, "%sgeneration %llu serves",
             m->predecessor[0] ? "mcpauthd " PACKAGE_VERSION " has taken over: " : "", number);
    reload_answer(list, str_of(line), NULL);
    break;
  case RELOAD_UNCHANGED:
    snprintf(line, sizeof line, "the effective configuration is unchanged: generation %llu goes on",
             number);
    reload_answer(list, str_of(line), NULL);
    break;
  case RELOAD_FAILED:
    if (m->serving)
      snprintf(line, sizeof line, "the new configuration was refused; generation %llu goes on",
               number);
    else
      snprintf(line, sizeof line, "the new configuration was refused, and no generation serves");
    reload_answer(list, str_of(text), line);
    break;
  }
}

void reload_done(struct master *m, enum reload_result result, const char *text)
{
  struct control_client *list = m->asked;
  m->asked = NULL;
  if (result == RELOAD_STARTED || result == RELOAD_TAKEN)
    m->started_once = true;
  count(m, result, text);
  answer_all(m, list, result, text);
  m->predecessor[0] = 0;
  if (m->replace.checked)
    replace_go_on(m); /* those who wait for the next load are handed over */
  else
    reload_again(m);
}

void reload_again(struct master *m)
{
  if (!m->again || m->stopping || m->loading) /* what loads, in a dead one's place, asks again */
    return;
  m->again = false;
  for (struct control_client *c = m->next, *next; c; c = next) { /* some may wait for the pace */
    next = *control_link(c);
    reload_add(&m->asked, c);
  }
  m->next = NULL;
  load_soon(m);
}

void reload_resume(struct master *m, struct control_client *asked)
{
  m->asked = asked;
  load_soon(m);
}

void reload_abandon(struct master *m)
{
  struct control_client *asked = m->asked, *next = m->next;
  m->asked = m->next = NULL;
  m->again = false;
  loop_timer_stop(m->loop, &m->pace);
  reload_answer(asked, STR(""), "the daemon is stopping");
  reload_answer(next, STR(""), "the daemon is stopping");
}
