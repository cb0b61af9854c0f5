# Unit tests are cmocka programs, tests/unit/test_NAME.c; the fragment of the folder under test lists
# them with `UNIT_TESTS += tests/unit/test_NAME`.

# The tests that are not compiled go into the tarball as they are: by a hook, because a folder in
# EXTRA_DIST would bring objects of the build along, and `check` there would be taken for the target.
EXTRA_DIST += pytest.ini
dist-hook: dist-tests
dist-tests:
	cp -p $(top_srcdir)/check $(distdir)/check
	cd $(top_srcdir) && find tests \( -name '*.py' -o -name '*.mjs' -o -path 'tests/fuzz/corpus/*' -o -path tests/stack/check -o -path tests/gate/check -o -path tests/rules/check -o -path 'tests/conform/*' -o -path 'tests/abi/*' \) -type f \
	  | tar -cf - -T - | tar -xf - -C $(abs_top_builddir)/$(distdir)
.PHONY: dist-tests

# One word a kind of test; ./check runs them all. Sanitized builds have folders of their own.
EXTRA_DIST += demo tools tests/security-rows.tsv tests/fuzz/run tests/valgrind.supp tests/lsan.supp tests/support/preload.c
check-hub: all
	cd $(abs_top_srcdir) && MCPAUTH_BUILD=$(abs_top_builddir) tools/run-tests -n 2 --ignore tests/interop --ignore tests/packages tests
check-asan:
	cd $(abs_top_srcdir) && tools/check-sanitized address,undefined -m 'not slow' --ignore tests/interop --ignore tests/packages tests
check-tsan:
	cd $(abs_top_srcdir) && tools/check-sanitized thread
# Leaks are LeakSanitizer's: valgrind would ask for them in forked children of tests too.
check-valgrind: $(check_PROGRAMS)
	$(MAKE) -j2 check LOG_FLAGS='--quiet --error-exitcode=99 --suppressions=$(abs_top_srcdir)/tests/valgrind.supp' LOG_COMPILER=valgrind
check-fuzz:
	cd $(abs_top_srcdir) && tests/fuzz/run
check-docs: all
	cd $(abs_top_srcdir) && MCPAUTH_BUILD=$(abs_top_builddir) tools/check-docs
check-interop: all
	cd $(abs_top_srcdir) && MCPAUTH_BUILD=$(abs_top_builddir) tools/run-tests tests/interop
# The packages, on a bare machine that is made for it: needs root and the network, and two minutes.
check-packages: all
	cd $(abs_top_srcdir) && tools/setup-debian --packages && tools/build-deb $(abs_top_builddir) && \
	  MCPAUTH_BUILD=$(abs_top_builddir) /usr/bin/python3 -m pytest -q -rs tests/packages
.PHONY: check-packages
.PHONY: check-hub check-asan check-tsan check-valgrind check-fuzz check-docs check-interop
# The evaluator against an independent oracle, and mutants of it against the same.
check_PROGRAMS += tests/support/stack-eval
tests_support_stack_eval_SOURCES = tests/support/stack-eval.c
TESTS += tests/stack/check
check-long: all tests/support/stack-eval tests/support/gate-eval tests/support/policy-eval tests/unit/test_store_race \
  tests/unit/test_store_crash
	$(srcdir)/tests/stack/check 5
	$(srcdir)/tests/gate/check 10000000
	$(srcdir)/tests/rules/check 2000000
	cd $(abs_top_srcdir) && MCPAUTH_BUILD=$(abs_top_builddir) MCPAUTH_MARKERS=1000000 \
	  /usr/bin/python3 -m pytest -q tests/hub/test_markers.py
	cd $(abs_top_srcdir) && MCPAUTH_BUILD=$(abs_top_builddir) MCPAUTH_OUTAGE_PEOPLE=60 MCPAUTH_KILLS=200 MCPAUTH_DISK_FAULTS=1 \
	  /usr/bin/python3 -m pytest -q tests/oauth/test_outage.py tests/oauth/test_kills.py tests/oauth/test_store_failing.py
	STORE_RACES=10000 tests/unit/test_store_race
	STORE_KILLS=200 tests/unit/test_store_crash
.PHONY: check-long
# Logins through one provider without a hub around it.
FOR_PYTEST += tests/support/login-run
tests_support_login_run_SOURCES = tests/support/login-run.c
# The JSON gate against an oracle of its own.
check_PROGRAMS += tests/support/gate-eval
tests_support_gate_eval_SOURCES = tests/support/gate-eval.c
TESTS += tests/gate/check
# Rules against an oracle of their own.
check_PROGRAMS += tests/support/policy-eval
tests_support_policy_eval_SOURCES = tests/support/policy-eval.c tests/support/fake_modules.h
TESTS += tests/rules/check
