"""What tests share: where the recorded data and the real servers are, or why a test is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.system.influx import InfluxServer
from tests.system.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"

settings.register_profile("hakari", deadline=None, derandomize=True, max_examples=50, print_blob=True)
settings.load_profile("hakari")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded plant data; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the recorded plant data is not beside the checkout ({os.path.relpath(DATA, ROOT)})")
    return DATA


@pytest.fixture(scope="session")
def whole_files() -> bool:
    """Whether recorded data is run whole (HAKARI_TEST_WHOLE_FILES=1) or a month of each file."""
    return os.environ.get("HAKARI_TEST_WHOLE_FILES") == "1"


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The Mosquitto program: HAKARI_TEST_MOSQUITTO, else on the path; skips where there is none."""
    named = os.environ.get("HAKARI_TEST_MOSQUITTO") or shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if not named:
        pytest.skip("Mosquitto is not installed; set HAKARI_TEST_MOSQUITTO to its program")
    if not Path(named).is_file():
        pytest.fail(f"HAKARI_TEST_MOSQUITTO names {named}, which does not exist")
    return Path(named)


@pytest.fixture(scope="session")
def influxd_program() -> Path:
    """The InfluxDB 2.7 server program, HAKARI_TEST_INFLUXD; skips where there is none."""
    named = os.environ.get("HAKARI_TEST_INFLUXD")
    if not named:
        pytest.skip("InfluxDB is not here; set HAKARI_TEST_INFLUXD to the program influxd of version 2.7")
    if not Path(named).is_file():
        pytest.fail(f"HAKARI_TEST_INFLUXD names {named}, which does not exist")
    return Path(named)


@pytest.fixture(scope="session")
def influxd(influxd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A real InfluxDB for all tests of this process; each takes a bucket of its own and never stops the server."""
    with InfluxServer(influxd_program, tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs, HAKARI_TEST_POSTGRES; skips where there is none."""
    named = os.environ.get("HAKARI_TEST_POSTGRES")
    if not named:
        pytest.skip("PostgreSQL is not here; set HAKARI_TEST_POSTGRES to the folder of initdb and postgres")
    if not (Path(named) / "initdb").is_file():
        pytest.fail(f"HAKARI_TEST_POSTGRES names {named}, which has no initdb")
    return Path(named)


@pytest.fixture(scope="session")
def postgres(postgres_programs: Path) -> Iterator[PostgresServer]:
    """A real PostgreSQL for all tests of this process; each takes a schema of its own and never stops the server."""
    with PostgresServer(postgres_programs) as server:
        yield server
