/* What bind_service.c, bind_upstream.c and the lints know about a service while it is bound. */
#ifndef CONFIG_BIND_SERVICE_H
#define CONFIG_BIND_SERVICE_H

#include "config/bind_rules.h"

struct accept_list {
  struct config_accept *v;
  size_t n;
};

struct service_options {
  struct config_service *service;
  const char *path, *url;
  struct config_at path_at, upstream_at;
  struct config_upstream upstream;
  const struct word *user_token; /* upstream_auth user_token PROVIDER; or NULL */
  struct accept_list accept;
  struct line_list lines;
  struct demands demands;
  struct rule_source rules;
  struct scope_list login_scope;
  struct config_words authorization_servers;
  const char *resource_name;
  struct config_words forward_header, forward_query, return_header, allow_origin;
  bool anonymous, tasks;
  int list;
  struct config_words anonymous_methods;
  struct config_at anonymous_at, tasks_at;
  int64_t max_body, call_limit, stream_max_age, connect_timeout, first_byte_timeout;
  struct risks risks;
};

/* TARGET is struct service_options. */
void custom_upstream(struct binder *b, const struct statement *s, void *target);
void custom_upstream_auth(struct binder *b, const struct statement *s, void *target);
void custom_accept(struct binder *b, const struct statement *s, void *target);
/* TARGET is struct config_words. */
void custom_forward_header(struct binder *b, const struct statement *s, void *target);
void custom_forward_query(struct binder *b, const struct statement *s, void *target);
void custom_return_header(struct binder *b, const struct statement *s, void *target);
/* Rules between these statements, once all are read. */
void upstream_finish(struct binder *b, struct service_options *o);
/* Sentences about S, for check -v. */
void scope_note(struct binder *b, const struct config_scope *s);
void service_note(struct binder *b, const struct config_service *s);

#endif
