"""Meter profiles: the ones that come with hakari, and files of the user's own."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

import msgspec

from hakari.errors import BadConfiguration
from hakari.registers.check import check_profile
from hakari.registers.profile import WORDS, Profile
from hakari.settings import SettingsRefused, convert, parse
from hakari.smallfile import TooLarge, read_bytes

MAX_PROFILE_BYTES = 256 * 1024
SUFFIX = ".toml"
MAX_NEAR = 5


class ProfileUnusable(BadConfiguration):
    """A profile does not exist, cannot be read or does not follow the schema."""


def bundled() -> list[str]:
    """The names of the profiles that come with hakari."""
    folder = files("edge") / "profiles"
    return sorted(entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX))


def profile(name: str, base: Path) -> Profile:
    """The checked profile called `name`: a bundled one, or a file when `name` ends with .toml (relative to `base`).

    Errors: ProfileUnusable, hakari.registers.check.ProfileInvalid.
    """
    if name.endswith(SUFFIX):
        path = base / Path(name).expanduser()
        # Whatever it says of itself, nobody has proven it here: its points are credited once they matched the display.
        return msgspec.structs.replace(read(_text_of(path), str(path)), proof="constructed")
    if name not in bundled():
        raise ProfileUnusable(f"profile {name!r} is not bundled; {_advice(name)}")
    found = read((files("edge") / "profiles" / f"{name}{SUFFIX}").read_text(encoding="utf-8"), f"profile {name}")
    if found.id != name:
        raise ProfileUnusable(f"profile {name} calls itself {found.id}; give file and id one name")
    return found


def _advice(name: str) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), bundled(), n=MAX_NEAR, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}? A profile of your own is named with its .toml"
    return "all that are stand in docs/meters.md; a profile of your own is named with its .toml"


def read(text: str, where: str) -> Profile:
    """The checked profile in TOML `text`; a value of several registers must state its word order."""
    table = parse(text, where)
    try:
        found = convert(table, Profile, where)
    except SettingsRefused as error:
        raise ProfileUnusable(str(error)) from error
    raw_points = table["points"]
    if isinstance(raw_points, list):
        for raw in raw_points:
            _require_word_order(raw, where)
    check_profile(found)
    return found


def _require_word_order(raw: dict[str, str], where: str) -> None:
    # Meters of one plant differ in it (Eastron high first, Carlo Gavazzi low first): a default would be a guess.
    if WORDS.get(raw["type"], 0) > 1 and "word_order" not in raw:
        raise ProfileUnusable(
            f"{where}: point {raw['name']} of type {raw['type']} has no word_order; state high_first or low_first"
        )


def _text_of(path: Path) -> str:
    try:
        return read_bytes(path, MAX_PROFILE_BYTES).decode()
    except TooLarge as error:
        raise ProfileUnusable(
            f"profile {path} is larger than {MAX_PROFILE_BYTES} bytes, so it is no profile"
        ) from error
    except OSError as error:
        raise ProfileUnusable(f"profile {path} cannot be read: {error.strerror}; check its path") from error
    except UnicodeDecodeError as error:
        raise ProfileUnusable(f"profile {path} is not UTF-8 text") from error
