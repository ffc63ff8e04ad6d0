"""Runs pytest, then once more, alone, what failed. `.ci/test` starts it; its arguments are those of pytest.

A test that fails twice fails the run. One that passes the second time is unsteady: it is listed at the end with its first reason, and more
than `MOST` of them fail the run. Nothing but failed tests gets a second chance: a file that cannot be imported, a test process that
crashes, a run that is cut short and a run of no tests stay failures.

The same file is the pytest plugin that keeps what the tests did in a file (`--outcomes`) and chooses what runs again (`--again`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

MOST = 3
"""Unsteady tests that a run may have."""
ALONE = ("-n", "0", "--dist", "no")
PYTEST = "import sys; sys.path.insert(0, sys.argv.pop(1)); import pytest; sys.exit(pytest.console_main())"
"""pytest that finds this file as a plugin, without an environment variable that every process of the tests would see."""


@dataclass(slots=True)
class Outcomes:
    """What the tests of a run did: each one's worst outcome, and the first reason of those that failed."""

    tests: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)
    """Tests after which something failed. It may be the doing of any test in the file, so that the whole file runs again."""
    broken: list[str] = field(default_factory=list)
    """What else went wrong; no second run mends it."""

    def named(self, outcome: str) -> list[str]:
        """The tests with this outcome."""
        return [test for test, one in self.tests.items() if one == outcome]


def read(path: Path) -> Outcomes:
    """What a `Keeper` wrote."""
    return Outcomes(**json.loads(path.read_text(encoding="utf-8")))


# ---- the plugin ------------------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two files."""
    parser.addoption("--outcomes", help="write to this file what the tests did")
    parser.addoption("--again", help="run only what failed in the run that wrote this file")


def pytest_configure(config: pytest.Config) -> None:
    """Keep outcomes where the tests are led from, not in each test process; a second run leaves the report of the first alone."""
    if config.getoption("outcomes") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Keeper(Path(config.getoption("outcomes"))))
    if config.getoption("again"):
        config.option.xmlpath = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what failed, and the files in which something failed after a test."""
    if not (again := config.getoption("again")):
        return
    first = read(Path(again))
    tests, files = set(first.named("failed")), {_file(test) for test in first.after}
    chosen = [item for item in items if item.nodeid in tests or _file(item.nodeid) in files]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


class Keeper:
    """Writes down what the tests did."""

    def __init__(self, path: Path) -> None:
        self.path, self.outcomes = path, Outcomes()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test failed when anything of it failed, and was skipped when anything was."""
        kept, test = self.outcomes, report.nodeid
        if report.failed:
            kept.tests[test] = "failed"
            kept.reasons.setdefault(test, _reason(report))
            if report.when == "teardown":
                kept.after.append(test)
        elif report.skipped:
            kept.tests.setdefault(test, "skipped")
        elif report.when == "call":
            kept.tests.setdefault(test, "passed")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be imported."""
        if report.failed:
            self.outcomes.broken.append(f"{report.nodeid} could not be collected")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A test process that ended by itself."""
        if error:
            self.outcomes.broken.append(f"test process {node.gateway.id} crashed")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write all down; a session that was told to stop did not run all its tests."""
        if stopped := session.shouldfail or session.shouldstop:
            self.outcomes.broken.append(str(stopped))
        self.path.write_text(json.dumps(asdict(self.outcomes)), encoding="utf-8")


def _file(test: str) -> str:
    return test.split("::", 1)[0]


def _reason(report: pytest.TestReport) -> str:
    """The first line of what was raised."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return (text.strip().splitlines() or ["no reason given"])[0]


# ---- the program -----------------------------------------------------------------------------------------------------------------


def run(arguments: Sequence[str], outcomes: Path) -> tuple[int, Outcomes]:
    """Returns the exit status of pytest (over 128: ended by a signal) and what its tests did."""
    child = subprocess.Popen([sys.executable, "-c", PYTEST, Path(__file__).parent, "-p", "again", f"--outcomes={outcomes}", *arguments])
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl+C reaches pytest as well, which ends by itself
    status = child.wait()
    if outcomes.exists():
        return status, read(outcomes)
    # No session: an error, or something like --help.
    return (status if status >= 0 else 128 - status), Outcomes(broken=["pytest did not end its session"] if status else [])


def main(arguments: Sequence[str]) -> int:
    """The exit status of both runs together."""
    with tempfile.TemporaryDirectory() as folder:
        status, first = run(arguments, Path(folder, "first.json"))
        if status != pytest.ExitCode.TESTS_FAILED or first.broken:
            _list("No second run", first.broken)
            return status or int(bool(first.broken))
        print(f"\nWhat failed runs again, alone ({len(first.named('failed'))}).", flush=True)
        status, second = run([*arguments, *ALONE, f"--again={folder}/first.json"], Path(folder, "second.json"))
    if status > pytest.ExitCode.TESTS_FAILED:
        second.broken.append(f"pytest ended with status {status}")
    return conclude(first, second)


def conclude(first: Outcomes, second: Outcomes) -> int:
    """Print what was unsteady and the true totals; returns the exit status."""
    unsteady = [test for test in first.named("failed") if second.tests.get(test) == "passed"]
    failed = {*first.named("failed"), *second.named("failed")}.difference(unsteady)
    reasons = {**second.reasons, **first.reasons}
    _list("The second run is broken", second.broken)
    _list("Failed, and did not pass alone", [f"{test}: {reasons[test]}" for test in sorted(failed)])
    _list("Unsteady: failed, then passed alone", [f"{test}: {reasons[test]}" for test in unsteady])
    if len(unsteady) > MOST:
        print(f"More than {MOST} unsteady tests: they count as failed.")
        failed.update(unsteady)
    skipped = set(first.named("skipped")) - failed
    passed = len(first.tests) - len(failed) - len(skipped)
    print(f"\n{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""), flush=True)
    return int(bool(failed or second.broken))


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        print(f"\n{title} ({len(lines)}):", *lines, sep="\n  ", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
