/* The notes themselves, in memory, and the tools, resources and prompts that show them. */
#include "notes-server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NOTES = 1000, MAX_COUNT = 1000, MAX_DELAY_MS = 10000 };

struct note {
  unsigned id;
  char *title, *text;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct note notes[MAX_NOTES];
static size_t n_notes;
static unsigned last_id;

size_t notes_count(void)
{
  pthread_mutex_lock(&lock);
  size_t n = n_notes;
  pthread_mutex_unlock(&lock);
  return n;
}

/* A tool's schema from "name:type:required" words. */
static json_t *schema(const char *const *fields)
{
  json_t *properties = json_object(), *required = json_array();
  for (; *fields; fields++) {
    char name[32], type[32], need[8];
    if (sscanf(*fields, "%31[^:]:%31[^:]:%7s", name, type, need) != 3)
      abort(); /* the tables below are wrong */
    json_object_set_new(properties, name, json_pack("{s:s}", "type", type));
    if (strcmp(need, "yes") == 0)
      json_array_append_new(required, json_string(name));
  }
  return json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required",
                   required);
}

json_t *notes_tools(void)
{
  static const struct {
    const char *name, *description;
    bool reads;
    const char *fields[4];
  } tools[] = {
      {"notes_list", "Lists all notes", true, {NULL}},
      {"notes_add", "Adds a note", false, {"title:string:yes", "text:string:no", NULL}},
      {"notes_delete", "Deletes a note", false, {"id:integer:yes", NULL}},
      {"slow_count",
       "Counts slowly and reports progress while it does",
       true,
       {"to:integer:no", "delay_ms:integer:no", NULL}},
  };
  json_t *list = json_array();
  for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:o,s:{s:b}}", "name", tools[i].name, "description",
                                    tools[i].description, "inputSchema", schema(tools[i].fields),
                                    "annotations", "readOnlyHint", tools[i].reads));
  return json_pack("{s:o}", "tools", list);
}

json_t *notes_resources(void)
{
  json_t *list = json_array();
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < n_notes; i++)
    json_array_append_new(list,
                          json_pack("{s:o,s:s,s:s}", "uri", json_sprintf("note://%u", notes[i].id),
                                    "name", notes[i].title, "mimeType", "text/plain"));
  pthread_mutex_unlock(&lock);
  return json_pack("{s:o}", "resources", list);
}

json_t *notes_templates(void)
{
  return json_pack("{s:[{s:s,s:s,s:s}]}", "resourceTemplates", "uriTemplate", "note://{id}", "name",
                   "A note", "mimeType", "text/plain");
}

json_t *notes_prompts(void)
{
  return json_pack("{s:[{s:s,s:s,s:[{s:s,s:s,s:b}]}]}", "prompts", "name", "summarize",
                   "description", "Asks for a summary of all notes", "arguments", "name", "style",
                   "description", "for example: haiku", "required", 0);
}

static json_t *text_result(json_t *text)
{
  return json_pack("{s:[{s:s,s:o}],s:b}", "content", "type", "text", "text", text, "isError", 0);
}

/* All notes as one text, a line each; the caller holds the lock. */
static json_t *all_notes(void)
{
  char *text = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&text, &n);
  if (f == NULL)
    return NULL;
  for (size_t i = 0; i < n_notes; i++)
    fprintf(f, "%u: %s: %s\n", notes[i].id, notes[i].title, notes[i].text);
  fclose(f);
  json_t *all = json_string(n_notes ? text : "There are no notes.");
  free(text);
  return all;
}

static json_t *tool_list(json_t *arguments, const char **ret_why)
{
  (void)arguments, (void)ret_why;
  return text_result(all_notes());
}

static json_t *tool_add(json_t *arguments, const char **ret_why)
{
  const char *title = NULL, *text = "";
  if (json_unpack(arguments, "{s:s,s?s}", "title", &title, "text", &text) != 0) {
    *ret_why = "notes_add takes a title, and a text if you like";
    return NULL;
  }
  if (n_notes == MAX_NOTES) {
    *ret_why = "there is no room for more notes";
    return NULL;
  }
  struct note new = {last_id + 1, strdup(title), strdup(text)};
  if (new.title == NULL || new.text == NULL) {
    free(new.title);
    free(new.text);
    *ret_why = "out of memory";
    return NULL;
  }
  last_id = new.id;
  notes[n_notes++] = new;
  return text_result(json_sprintf("Added note %u.", new.id));
}

static json_t *tool_delete(json_t *arguments, const char **ret_why)
{
  json_int_t id = 0;
  if (json_unpack(arguments, "{s:I}", "id", &id) != 0) {
    *ret_why = "notes_delete takes the id of a note";
    return NULL;
  }
  for (size_t i = 0; i < n_notes; i++)
    if (notes[i].id == id) {
      free(notes[i].title);
      free(notes[i].text);
      memmove(&notes[i], &notes[i + 1], (n_notes - i - 1) * sizeof *notes);
      n_notes--;
      return text_result(json_sprintf("Deleted note %lld.", (long long)id));
    }
  *ret_why = "there is no such note";
  return NULL;
}

json_t *notes_call(const char *tool, json_t *arguments, const char **ret_why)
{
  static const struct {
    const char *name;
    json_t *(*run)(json_t *arguments, const char **ret_why);
  } tools[] = {{"notes_list", tool_list}, {"notes_add", tool_add}, {"notes_delete", tool_delete}};
  for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
    if (strcmp(tools[i].name, tool) == 0) {
      pthread_mutex_lock(&lock);
      json_t *result = tools[i].run(arguments, ret_why);
      pthread_mutex_unlock(&lock);
      return result;
    }
  *ret_why = "there is no such tool";
  return NULL;
}

bool notes_slow_count(json_t *arguments, unsigned *ret_to, unsigned *ret_delay_ms)
{
  json_int_t to = 5, delay_ms = 300;
  if (arguments && json_unpack(arguments, "{s?I,s?I}", "to", &to, "delay_ms", &delay_ms) != 0)
    return false;
  if (to < 1 || to > MAX_COUNT || delay_ms < 0 || delay_ms > MAX_DELAY_MS)
    return false;
  *ret_to = (unsigned)to;
  *ret_delay_ms = (unsigned)delay_ms;
  return true;
}

json_t *notes_read(const char *uri, const char **ret_why)
{
  unsigned id = 0;
  int end = 0;
  json_t *result = NULL;
  if (sscanf(uri, "note://%u%n", &id, &end) == 1 && uri[end] == '\0') {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_notes; i++)
      if (notes[i].id == id)
        result = json_pack("{s:[{s:s,s:s,s:s}]}", "contents", "uri", uri, "mimeType", "text/plain",
                           "text", notes[i].text);
    pthread_mutex_unlock(&lock);
  }
  if (result == NULL)
    *ret_why = "there is no such note";
  return result;
}

json_t *notes_prompt(const char *name, json_t *arguments, const char **ret_why)
{
  const char *style = "a sentence";
  if (strcmp(name, "summarize") != 0) {
    *ret_why = "there is no such prompt";
    return NULL;
  }
  if (arguments)
    json_unpack(arguments, "{s?s}", "style", &style);
  pthread_mutex_lock(&lock);
  json_t *all = all_notes();
  pthread_mutex_unlock(&lock);
  json_t *text = json_sprintf("Summarize these notes as %s:\n%s", style, json_string_value(all));
  json_decref(all);
  return json_pack("{s:[{s:s,s:{s:s,s:o}}]}", "messages", "role", "user", "content", "type", "text",
                   "text", text);
}
