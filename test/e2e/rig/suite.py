"""Runs a file's tests and ends with the line that test/run reads."""

import sys
import unittest


def main():
    """In place of unittest.main()."""
    program = unittest.main(module="__main__", argv=[sys.argv[0], "-v", *sys.argv[1:]], exit=False)
    r = program.result
    # A test of several failed subtests is one failed test.
    bad = len({getattr(t, "test_case", t).id() for t, _ in r.failures + r.errors})
    sys.stderr.flush()
    for case, why in r.skipped:
        print(f"skipped: {case}: {why}")
    print(f"{max(r.testsRun - bad - len(r.skipped), 0)} passed, {bad} failed, "
          f"{len(r.skipped)} skipped", flush=True)
    sys.exit(bad != 0 or r.testsRun == 0)
