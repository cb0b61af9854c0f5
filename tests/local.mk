# Unit tests are cmocka programs, tests/unit/test_NAME.c; the fragment of the folder under test lists
# them with `UNIT_TESTS += tests/unit/test_NAME`.

# The tests in Python go into the tarball as they are.
EXTRA_DIST += pytest.ini tests/conftest.py tests/support tests/harness
dist-hook: dist-without-caches
dist-without-caches:
	find $(distdir) -name __pycache__ -prune -exec rm -rf '{}' +
.PHONY: dist-without-caches
