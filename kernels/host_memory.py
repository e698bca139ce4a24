"""How much memory of the host this process can still take, with the standard library alone.

The machine, the control group of a container and the process each set a limit, and the smallest of
the three holds. A container or process limit that the system does not report counts as none.
"""

import os
from pathlib import Path

UNKNOWN = 4 * 2**30  # bytes taken to be free where the system does not say
UNLIMITED = 2**62  # bytes; stands for no limit
# for control groups of version 2 and of version 1: the folder; the files with the limit and with
# the use; the entry of memory.stat that counts cached files, whose memory is given back on demand
CONTROL_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "),
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file ",
    ),
)


def available_memory() -> int:
    """The bytes of memory that this process can still take without swapping.

    Returns
    -------
    int
        The least of what the machine has free, what the control group of the container leaves, and
        what ``ulimit -v`` leaves.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    return max(0, min(_left_by_machine(), _left_by_container(), _left_by_process()))


def _left_by_machine() -> int:
    """Bytes that are free, or would be once caches were given back."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return UNKNOWN


def _left_by_container() -> int:
    """Bytes that the control group leaves; cached files do not count as used."""
    for folder, limit, used, kept in CONTROL_GROUPS:
        try:
            most, now = (
                int(Path(folder, name).read_text(encoding="ascii")) for name in (limit, used)
            )
            lines = Path(folder, "memory.stat").read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):  # no such group, or "max": no limit
            continue
        return most - now + sum(int(line.split()[1]) for line in lines if line.startswith(kept))
    return UNLIMITED


def _left_by_process() -> int:
    """Bytes that `ulimit -v` leaves."""
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError, ValueError):
        return UNLIMITED
    if limit == resource.RLIM_INFINITY:
        return UNLIMITED
    return limit - pages * os.sysconf("SC_PAGE_SIZE")
