# bench
EXTRA_PROGRAMS = bench/upstream-bench
bench_upstream_bench_SOURCES = bench/upstream-bench.c
CLEANFILES += $(EXTRA_PROGRAMS)
