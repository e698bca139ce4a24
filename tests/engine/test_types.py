"""What a type checker of a user sees of the package: the keywords of the constructors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNIPPET = """
import spillover as so
frame, W = so.munnell()
reveal_type(so.SDM)
reveal_type(so.SDM("unemp ~ pc", frame, W).fit())
so.SDM("unemp ~ pc", frame, W, efects="unit")
so.SAR("unemp ~ pc", frame, W).fit(drawz=10)
so.sweep("unemp ~ pc", frame, {"W": W}, modells=["SAR"])
"""


@pytest.mark.verify
def test_a_type_checker_knows_the_keywords(tmp_path):
    """The package as its wheel lays it out; every misspelt keyword is an error, nothing else."""
    package = tmp_path / "spillover"
    shutil.copytree(ROOT / "engine" / "_root", package, ignore=shutil.ignore_patterns("data"))
    for layer in ("kernels", "models", "engine"):
        shutil.copytree(ROOT / layer, package / layer, ignore=shutil.ignore_patterns("_root"))
    (tmp_path / "user.py").write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "user.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    said = ran.stdout.splitlines()
    (constructor,) = (line for line in said if line.startswith("user.py:4:"))
    for keyword in ("effects: str =", "unit: str | None =", "priors: ", "-> spillover"):
        assert keyword in constructor, ran.stdout
    assert "spillover.engine.estimation.results.Fit" in next(
        line for line in said if line.startswith("user.py:5:")
    )
    misspelt = r"user\.py:(\d+): error: Unexpected keyword argument \"(\w+)\""
    errors = re.findall(misspelt, ran.stdout)
    assert errors == [("6", "efects"), ("7", "drawz"), ("8", "modells")], ran.stdout
    assert ran.stdout.count(": error:") == 3, ran.stdout
