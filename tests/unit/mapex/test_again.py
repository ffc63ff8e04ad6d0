"""`.ci/again.py`: what failed runs a second time, alone, and nothing else gets a second chance."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

AGAIN = Path(__file__).parents[3] / ".ci" / "again.py"

UNSTEADY = """
def test_unsteady_{name}():
    with open("runs-{name}", "a+") as runs:
        runs.write("x")
        runs.seek(0)
        assert len(runs.read()) > 1, "the first run of {name}"
"""
PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): assert 1 == 2\n"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    status: int
    out: str

    @property
    def last(self) -> str:
        """The line that a machine reads."""
        return self.out.strip().splitlines()[-1]

    @property
    def unsteady(self) -> list[str]:
        """The lines under the heading of unsteady tests."""
        _, _, after = self.out.partition("Unsteady: failed, then passed alone")
        return re.findall(r"^  (.+)$", after.partition("\n\n")[0], re.MULTILINE)


def again(folder: Path, *arguments: str, **files: str) -> Ended:
    """Run the tests of these files (`name=text`)."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    command = [sys.executable, AGAIN, "-q", "-p", "xdist", "-p", "no:cacheprovider", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(command, cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ended(done.returncode, done.stdout)


def test_a_run_without_failures_is_pytests_own(tmp_path: Path) -> None:
    ended = again(tmp_path, a=PASSES)
    assert ended.status == 0
    assert re.match(r"1 passed in ", ended.last)


def test_what_passes_the_second_time_is_listed_with_its_first_reason(tmp_path: Path) -> None:
    ended = again(tmp_path, "--junitxml=report.xml", a=PASSES + "".join(UNSTEADY.format(name=name) for name in "abc"))
    assert (ended.status, ended.last) == (0, "4 passed, 0 failed")
    assert ended.unsteady == [f"test_a.py::test_unsteady_{name}: AssertionError: the first run of {name}" for name in "abc"]
    assert "3 passed, 1 deselected" in ended.out, "only what failed runs again"
    assert 'tests="4"' in (tmp_path / "report.xml").read_text(), "the second run leaves the report of the first"


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    """A fixture that fails is a failure as well; what is skipped is counted apart."""
    others = "import pytest\n@pytest.fixture\ndef broken(): raise OSError('no server')\ndef test_asks(broken): pass\n"
    others += "def test_skips(): pytest.skip('not here')\n"
    ended = again(tmp_path, a=PASSES + FAILS + UNSTEADY.format(name="a"), b=others)
    assert (ended.status, ended.last) == (1, "2 passed, 2 failed, 1 skipped")
    assert len(ended.unsteady) == 1
    assert (
        "Failed, and did not pass alone (2):\n  test_a.py::test_fails: assert 1 == 2\n  test_b.py::test_asks: OSError: no server\n"
        in ended.out
    )


def test_more_than_three_unsteady_tests_fail_the_run(tmp_path: Path) -> None:
    ended = again(tmp_path, a=PASSES + "".join(UNSTEADY.format(name=name) for name in "abcd"))
    assert (ended.status, ended.last) == (1, "1 passed, 4 failed")
    assert len(ended.unsteady) == 4


def test_the_second_run_is_one_process(tmp_path: Path) -> None:
    leader = "import os, pytest\n@pytest.fixture(scope='session')\ndef worker(): return os.environ.get('PYTEST_XDIST_WORKER', 'alone')\n"
    fails_beside_others = "def test_beside(worker): assert worker == 'alone'\n"
    ended = again(tmp_path, "-n", "1", "--dist", "loadfile", a=leader + fails_beside_others, b=PASSES)
    assert (ended.status, ended.last) == (0, "2 passed, 0 failed")
    assert ended.unsteady == ["test_a.py::test_beside: AssertionError: assert 'gw0' == 'alone'"]


def test_what_fails_after_a_test_runs_its_whole_file_again(tmp_path: Path) -> None:
    """A fixture of a file complains after the last test of what another one did."""
    watched = """
import pytest
@pytest.fixture(scope="module")
def complaints():
    made = []
    yield made
    assert made == []
def test_complains(complaints): complaints.append("an error")
def test_last(complaints): pass
"""
    ended = again(tmp_path, a=watched, b=PASSES)
    assert (ended.status, ended.last) == (1, "2 passed, 1 failed")
    assert not ended.unsteady


def test_a_file_that_cannot_be_imported_has_no_second_chance(tmp_path: Path) -> None:
    once = "import pathlib\nseen = pathlib.Path('seen')\nfirst = not seen.exists()\nseen.touch()\nif first: raise ImportError('once')\n"
    ended = again(tmp_path, "--continue-on-collection-errors", a=once + PASSES, b=UNSTEADY.format(name="b"))
    assert ended.status == 1
    assert "No second run (1):\n  test_a.py could not be collected" in ended.out


def test_a_test_process_that_crashes_has_no_second_chance(tmp_path: Path) -> None:
    crashes = "import os\ndef test_crashes():\n    if 'PYTEST_XDIST_WORKER' in os.environ: os._exit(3)\n"
    ended = again(tmp_path, "-n", "1", a=crashes, b=PASSES)
    assert ended.status == 1
    assert "No second run (1):\n  test process gw0 crashed" in ended.out


def test_a_run_that_is_cut_short_has_no_second_chance(tmp_path: Path) -> None:
    ended = again(tmp_path, "-x", a=UNSTEADY.format(name="a") + PASSES)
    assert ended.status == 1
    assert "No second run (1):\n  stopping after 1 failures" in ended.out
    interrupts = "def test_interrupts(): raise KeyboardInterrupt\n"
    assert again(tmp_path, "test_c.py", c=interrupts).status == pytest.ExitCode.INTERRUPTED


def test_no_tests_are_a_failure(tmp_path: Path) -> None:
    assert again(tmp_path, "-k", "nothing", a=PASSES).status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert again(tmp_path, "--no-such-option").status == pytest.ExitCode.USAGE_ERROR
