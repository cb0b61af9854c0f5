# Unit tests are cmocka programs, tests/unit/test_NAME.c; the fragment of the folder under test lists
# them with `UNIT_TESTS += tests/unit/test_NAME`.
