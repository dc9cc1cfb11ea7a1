from __future__ import annotations

import os
import sys
from pathlib import Path

from simulate.processes import Processes


def test_its_exit_code_is_told(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        pid = processes.start("brief", [sys.executable, "-c", "raise SystemExit(3)"])
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert processes.stop("brief") == 3
