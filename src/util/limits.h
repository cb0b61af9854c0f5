/* Every maximum on what comes from the network or a file, in one place (design: invariant 8). */
#ifndef UTIL_LIMITS_H
#define UTIL_LIMITS_H

#define KIB(n) ((size_t)(n)*1024)
#define MIB(n) ((size_t)(n)*1024 * 1024)

enum {
  /* a request on its way in */
  LIMIT_TARGET = 4096,        /* bytes of the request target: 414 */
  LIMIT_METHOD = 32,          /* bytes of the method: 400 */
  LIMIT_HEADERS = 100,        /* header fields: 431 */
  LIMIT_HEADER_BYTES = 16384, /* bytes of all header fields: 431 */
  LIMIT_SERVICE_PATH = 256,
  LIMIT_CREDENTIAL = 8192,      /* bytes of a credential, a JWT included */
  LIMIT_ANONYMOUS_BODY = 65536, /* of a request without a credential, where some may go without */
  LIMIT_LINGER = 1048576,       /* bytes discarded behind a refusal */
  LIMIT_LINGER_MS = 2000,
  LIMIT_LINGERING = 256, /* connections that linger at once */
  LIMIT_ACCEPTS_A_TURN = 16,
  LIMIT_SPARE_CONNECTIONS = 32, /* beyond max_connections, for health alone */

  /* JSON documents that we read ourselves */
  LIMIT_JSON_VALUES = 50000,
  LIMIT_JSON_DEPTH = 64,
  LIMIT_JWT_DEPTH = 16,
  LIMIT_JWT_VALUES = 2000,

  /* MCP messages */
  LIMIT_RPC_ID = 256,        /* bytes of a JSON-RPC id as it stands */
  LIMIT_ITEM = 4096,         /* bytes of a method, a tool's or prompt's name, a resource's URI */
  LIMIT_LIST_ITEM = 1048576, /* bytes of one item of a list in a reply, and around it */
  LIMIT_LIST_DEPTH = 512,    /* of a reply that is filtered */

  /* keys */
  LIMIT_JWKS_BYTES = 262144,
  LIMIT_JWKS_KEYS = 100,
  LIMIT_KID = 256,
  LIMIT_RSA_MIN_BITS = 2048,
  LIMIT_RSA_MAX_BITS = 8192,

  /* identity providers */
  LIMIT_IDP_REPLY = 262144,
  LIMIT_LOGIN_URL = 16384,   /* where a login sends the browser */
  LIMIT_LOGIN_TOKEN = 16384, /* one of the provider's tokens */
  LIMIT_LOGIN_EXTRA = 4096,

  /* identities */
  LIMIT_ISSUER = 512,
  LIMIT_SUBJECT = 512,
  LIMIT_CLIENT = 512,
  LIMIT_CLIENT_CERTIFICATE = 8192, /* bytes of one, DER */
  LIMIT_SCOPE = 128,
  LIMIT_SCOPES = 200,
  LIMIT_CLAIMS = 65536, /* bytes of a principal's claims as JSON */
  LIMIT_REQUEST_ARENA = 1048576,

  /* the authorization server */
  LIMIT_PARAMS = 256, /* of a query or a form */
  LIMIT_FORM = 16384, /* bytes of a form */
  LIMIT_REDIRECT_URI = 2048,
  LIMIT_LOGIN_STATE = 2560, /* bytes of `state` on its way through an identity provider */
  LIMIT_LOGIN_HINT = 256,

  /* upstream replies */
  LIMIT_UPSTREAM_HEADERS = 32768,
  LIMIT_IDENTITY_HEADER = 8192, /* bytes of one X-Mcpauth-* header */
  LIMIT_ASSERTION = 32768,      /* bytes of an assertion */
  LIMIT_SSE_LINE = 1048576,
  LIMIT_SSE_EVENT = 16777216,    /* bytes of one event's data, all its lines */
  LIMIT_ENDPOINT = 2048,         /* path and query of a legacy message endpoint */
  LIMIT_SESSION_ID = 1024,       /* bytes of an upstream's session id */
  LIMIT_SEALED = LIMIT_ENDPOINT, /* bytes of what is sealed into an id: the longest of these */
  LIMIT_STREAM_BUFFER = 65536,   /* bytes kept for a client that reads slowly */

  /* configuration */
  LIMIT_CONFIG_FILE = 1048576,
  LIMIT_CONFIG_FILES = 256,
  LIMIT_CONFIG_WORDS = 100000,
  LIMIT_WORD = 4096,
  LIMIT_SCOPES_DECLARED = 500,
  LIMIT_SERVICES = 10000,
  LIMIT_CERTIFICATE_FILE = 1048576,
  LIMIT_STACK_LINES = 32,
  LIMIT_INCLUDE_DEPTH = 8,
  LIMIT_SECRET_FILE = 65536,
  LIMIT_TOKEN_FILE = 8388608,
  LIMIT_TOKENS = 20000,

  LIMIT_REDIRECT_URIS = 32, /* of one client */
  LIMIT_CLIENTS = 1000,     /* in the configuration */
  LIMIT_CLIENT_ID = 2048,
  LIMIT_CLIENT_NAME = 256,
  LIMIT_CLIENT_SCOPE = 4096,
  LIMIT_CLIENT_DOCUMENT = 5120, /* bytes of a Client ID Metadata Document */
  LIMIT_CLIENT_KEYS = 16384,    /* bytes of the key set at a client's jwks_uri */
  LIMIT_DOCUMENT_FETCHES = 8,   /* of either at once, of a worker; one a host */
  LIMIT_REGISTRATION = 16384,   /* bytes of a registration request */

  LIMIT_CONTROL_LINE = 2048, /* bytes of a command at the control socket */

  /* the state directory */
  LIMIT_KEYRING = 65536,       /* bytes of keys.ring */
  LIMIT_KEYRING_TEXT = 262144, /* bytes of one text that it seals */
  LIMIT_MARKS = 200000,        /* single-use marks at once; past that nothing single-use is taken */
  LIMIT_DOCUMENTS = 1000,      /* client documents that are kept */
  LIMIT_FAMILY = 20000,        /* refresh tokens of a grant that are remembered */
  LIMIT_STORE_QUEUE = 2048,    /* pieces of work that wait for the store, in a worker: 503 */

  /* rules */
  LIMIT_PATTERN = 1024,
  LIMIT_PATTERN_STARS = 8,
  LIMIT_RULES = 2000,     /* of one kind at one service, the hub's included */
  LIMIT_CONDITIONS = 200, /* in one rule */
  LIMIT_ITEM_NAME = 128,  /* bytes of a name that a glob may match */
  LIMIT_ITEM_URI = 2048,  /* the same of a URI */

  LIMIT_LOG_LINE = 4096,
  LIMIT_AUDIT_RECORD = 32768,
};

#endif
