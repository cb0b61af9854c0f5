/* Client ID Metadata Documents: a client's id is the URL of a document that says what it is.
 * client.c asks for it, client_fetch.c fetches and keeps it; here is what a document must be
 * (row 109). */
#include "http/fetch.h"
#include "oauth/client_impl.h"
#include "util/json.h"

bool document_is(const struct oauth *o, struct str id)
{
  return o->o.config->oauth.client_documents &&
         (str_starts(id, "https://") || (o->o.config->loopback_only && str_starts(id, "http://")));
}

static const char *judge_members(const struct oauth *o, struct str url, const json_t *from,
                                 struct arena *a, struct client_metadata *ret)
{
  struct metadata_error bad;
  struct redirect_policy policy = client_policy(o);
  if (!str_eq(json_str(from, "client_id"), url))
    return "the client_id in its document is not the document's URL";
  if (json_str(from, "client_name").n == 0)
    return "its document has no client_name";
  if (client_metadata_judge(&policy, from, true, a, ret, &bad) < 0) {
    const char *why = arena_printf(a, "its document: %s", bad.text);
    return why ? why : "its document will not do";
  }
  return client_keys_misfit(o, ret);
}

static const char *judge(const struct oauth *o, struct str url, const struct fetch_reply *reply,
                         struct arena *a, struct str *ret_kept)
{
  struct client_metadata m;
  if (reply->status != 200)
    return "its document is not there";
  if (!client_is_json(reply->content_type))
    return "its document is not JSON";
  CLEANUP(json_drop) json_t *from = json_parse(reply->body, 8, 1000, NULL);
  if (!json_is_object(from))
    return "its document is not one JSON object";
  const char *why = judge_members(o, url, from, a, &m);
  if (why)
    return why;
  CLEANUP(buf_done) struct buf body;
  buf_init(&body, MIB(1));
  if (client_metadata_put(&m, &body) < 0)
    return "its document does not fit";
  *ret_kept = arena_str(a, buf_view(&body));
  return ret_kept->p ? NULL : "out of memory";
}

const struct client_source client_documents = {
    .row = "",
    .accept = "Accept: application/json",
    .max_reply = LIMIT_CLIENT_DOCUMENT,
    .judge = judge,
};
