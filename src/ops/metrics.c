/* The table of metrics as data; see metrics.h. */
#include "ops/metrics.h"

const struct metric_info metric_info[METRIC_COUNT] = {
#define X(symbol, type, name, labels, help) [symbol] = {#type, name, labels, help},
    METRICS(X)
#undef X
};
