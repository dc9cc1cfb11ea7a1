from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READS = """
import asyncio, sys
sys.modules["serial"] = None  # importing it fails
from pathlib import Path
from tests.conformance.bus_world import ASKED, CLOCK, GOOD, World

async def run():
    world = World("rtu", Path(sys.argv[1]))
    async with world.serving(world.answering(lambda _: GOOD)) as port:
        bus = world.bus(port)
        print((await bus.read(ASKED, CLOCK)).answer.hex())
        bus.close()

asyncio.run(run())
"""


def test_serial_line_is_read_without_it(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", READS, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("030412345678", 0), done.stderr
