libcore_a_SOURCES += src/mcp/endpoint.h src/mcp/sse.h
