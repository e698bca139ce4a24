"""The Python in CONTRIBUTING.md does what it says: its blocks make one module, whose tests are run,
and one bench.
"""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S
)
BENCH = [block for block in BLOCKS if "common.run" in block]
MODULE = "\n".join(block for block in BLOCKS if block not in BENCH)
TESTS = re.findall(r"^def (test_\w+)", MODULE, re.M)


@pytest.fixture(scope="module")
def written():
    """What the blocks define."""
    names: dict = {}
    exec(compile(MODULE, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.mark.parametrize("name", TESTS)
def test_a_worked_test_passes(name, written, munnell):
    takes = written[name].__code__.co_varnames[: written[name].__code__.co_argcount]
    written[name](*[{"munnell": munnell}[fixture] for fixture in takes])


def test_the_worked_bench_reports_its_machine(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "bench")
    monkeypatch.setattr(sys, "argv", ["square.py", "--small"])
    (source,) = BENCH
    exec(compile(source, "square.py", "exec"), {"__name__": "__main__"})
    record = json.loads(capsys.readouterr().out)
    assert record["ratio"] > 0
    assert {"processor", "cores", "python", "jax", "spillover"} <= set(record["machine"])


def test_files_named_here_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:engine|models|kernels|tests|bench|docs|\.\w+)/[\w./]+)`", text))
    made_up = {"bench/square.py"}
    assert [name for name in sorted(named - made_up) if not (ROOT / name).exists()] == []
    assert len(named) > 20
