from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hakari.names import MAX_HOST_CHARS, BadName, check_address, check_host

HOSTS: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "hosts.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("host", HOSTS["good"])
def test_a_host_is_taken(host: str) -> None:
    assert check_host(host, "host") == host


@pytest.mark.parametrize("host", [*HOSTS["bad"], "a" * 64, ".".join(["a" * 50] * 6)])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadName, match="is neither a host name nor an IP address") as caught:
        check_host(host, "[broker].host")
    assert str(caught.value).startswith("[broker].host = ")
    assert len(str(caught.value)) < MAX_HOST_CHARS


def test_addresses() -> None:
    for address in HOSTS["good_addresses"]:
        assert check_address(address, "address") == address
    for address in HOSTS["bad_addresses"]:
        with pytest.raises(BadName):
            check_address(address, "address")
