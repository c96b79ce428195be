"""What a process that stays takes while nothing is due: `imagebuilder serve` on SQLite."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_SETTLED_SECONDS = 15
_WATCHED_SECONDS = 60


def idle_figures(say: Callable[[str], None]) -> dict[str, float]:
    """Give the part of one core, and the memory, that a `serve` without work takes."""
    say(f"letting a serve be idle for {_SETTLED_SECONDS + _WATCHED_SECONDS} s ...")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {**os.environ, "IMAGEBUILDER_HOME": folder, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "imagebuilder", "serve"]
        process = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
        try:
            time.sleep(_SETTLED_SECONDS)
            began, used = time.monotonic(), _cpu_seconds(process.pid)
            time.sleep(_WATCHED_SECONDS)
            used = _cpu_seconds(process.pid) - used
            watched = time.monotonic() - began
            resident = _resident_mib(process.pid)
        finally:
            process.terminate()
            status = process.wait(60)
        if status != 0:
            raise SystemExit(f"serve ended with {status}")
    return {"idle_cpu_percent": 100 * used / watched, "idle_rss_mib": resident}


def _cpu_seconds(pid: int) -> float:
    """Give what all threads of a process used; none of them ends meanwhile."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
