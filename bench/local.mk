# make bench: the hub beside its peers, one table. Its programs are built for it alone.
EXTRA_PROGRAMS = bench/upstream bench/hold bench/upstream-bench bench/store-bench bench/policy-bench \
  bench/mcp-bench
bench_upstream_SOURCES = bench/upstream.c
bench_upstream_LDADD =
bench_hold_SOURCES = bench/hold.c
bench_hold_LDADD =
bench_upstream_bench_SOURCES = bench/upstream-bench.c
bench_store_bench_SOURCES = bench/store-bench.c
bench_policy_bench_SOURCES = bench/policy-bench.c tests/support/fake_modules.h
bench_mcp_bench_SOURCES = bench/mcp-bench.c tests/support/fake_modules.h
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += bench/bench.py bench/gateway.mjs bench/haproxy.cfg.in bench/nginx.conf.in bench/README.md
EXTRA_DIST += bench/oauth.py
bench: all bench/upstream$(EXEEXT) bench/hold$(EXEEXT) bench/store-bench$(EXEEXT) bench/policy-bench$(EXEEXT) \
  bench/mcp-bench$(EXEEXT)
	cd $(top_srcdir) && tools/setup-debian --bench
	/usr/bin/python3 $(srcdir)/bench/bench.py --build $(abs_top_builddir) $(BENCHFLAGS)
	bench/store-bench$(EXEEXT)
	bench/policy-bench$(EXEEXT)
	bench/mcp-bench$(EXEEXT)
	/usr/bin/python3 $(srcdir)/bench/oauth.py
.PHONY: bench
