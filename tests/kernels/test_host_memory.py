"""The memory that is left: a sensible number, and no more than any of the limits."""

import subprocess
import sys

from spillover.kernels import host_memory


def test_it_is_a_sensible_number():
    assert 1e7 < host_memory.available_memory() < 1e14


def test_it_heeds_the_limit_of_the_process():
    bound = 3 * 2**30
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({bound}, {bound}))
from spillover.kernels.host_memory import available_memory
print(available_memory())
"""
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert 0 < int(child.stdout) < bound


def test_it_heeds_the_limit_of_a_container(tmp_path, monkeypatch):
    """Files kept in memory are not counted as used; "max" is no limit."""
    for name, text in (
        ("memory.max", "1000"),
        ("memory.current", "700"),
        ("memory.stat", "anon 300\ninactive_file 400\n"),
    ):
        (tmp_path / name).write_text(text)
    group = (str(tmp_path), "memory.max", "memory.current", "inactive_file ")
    monkeypatch.setattr(host_memory, "CONTROL_GROUPS", (group,))
    assert host_memory.available_memory() == 700
    (tmp_path / "memory.max").write_text("max")
    assert host_memory.available_memory() > 700
