"""A disk whose fsync fails: the edge ends loudly within a batch, and after the restart all that was committed is there.

A small library in front of the C library's makes fsync and fdatasync fail from a chosen instant on.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.spool import Spool
from hakari.errors import NOT_REACHABLE
from tests.system.chain import Chain, solar
from tests.system.forge import eventually, on_the_clock

pytestmark = pytest.mark.system

START, END = "2016-07-01T00:00:00-07:00", "2016-07-02T00:00:00-07:00"
GONE = "bus bus1: connection"  # a sample was tried
END_LIMIT_S = 60
SHIM = """
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int sync_of(long call, int file) {
    const char *sign = getenv("HAKARI_TEST_FSYNC_FAILS");
    if (sign && access(sign, F_OK) == 0) { errno = EIO; return -1; }
    return (int) syscall(call, file);
}
int fsync(int file) { return sync_of(SYS_fsync, file); }
int fdatasync(int file) { return sync_of(SYS_fdatasync, file); }
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled here."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here to build the library that lets fsync fail")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c"], check=True)
    return folder / "shim.so"


def kept(path: Path) -> int:
    """Samples on the disk, read as a restart would."""
    spool = Spool(str(path))
    count = spool.sample_count()
    spool.close()
    return count


def test_fault_05_an_fsync_that_fails_ends_the_edge_within_a_batch(tmp_path: Path, shim: Path) -> None:
    with on_the_clock(Chain(tmp_path / "chain", [solar()], START, END, step_s=1, batch_samples=1)) as chain:
        sign, spool = tmp_path / "fails", chain.folder / "solar-e1.spool"
        words = ["env", f"LD_PRELOAD={shim}", f"HAKARI_TEST_FSYNC_FAILS={sign}", *chain._argv("solar-e1")]
        chain.processes.start("solar-e1", words)
        eventually("it runs", spool.exists)
        eventually("it has sampled", lambda: GONE in log_of(chain))
        sign.touch()
        child = chain.processes._children.pop("solar-e1")
        assert child.process.wait(END_LIMIT_S) == NOT_REACHABLE, log_of(chain)
        assert f"error: the disk under spool {spool} failed: disk I/O error; the edge stops" in log_of(chain)
        before, silent = kept(spool) + leaves(spool), log_of(chain).count(GONE)
        sign.unlink()
        chain.processes.start("solar-e1", words)
        eventually("it goes on", lambda: log_of(chain).count(GONE) == 2 * silent)
        assert chain.processes.stop("solar-e1") == 0
        assert kept(spool) + leaves(spool) > before


def leaves(path: Path) -> int:
    """Leaves on the disk."""
    spool = Spool(str(path))
    count = sum(state.size for state in spool.epochs())
    spool.close()
    return count


def log_of(chain: Chain) -> str:
    """What the edge has said so far."""
    return (chain.folder / "logs" / "solar-e1.log").read_text()
