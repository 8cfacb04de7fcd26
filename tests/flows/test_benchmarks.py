"""`make bench` on a small fleet: it runs through, checks its own work, leaves nothing behind. No figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = ["B1", "B2", "B3", "B3w", "B7"]


@pytest.mark.slow
def test_each_row_of_the_benchmark_runs(tmp_path: Path) -> None:
    """The product's way and the bare way do the same work; the table is written as JSON."""
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--devices", "200", "--repeats", "1", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "QUICK", "OUT"}}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert [row["row"] for row in rows] == ROWS
    assert all(row["ratio"] > 0 and row["verdict"] in {"met", "missed"} and row["work"] for row in rows)
