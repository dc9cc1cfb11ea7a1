"""What a methodology is: declared inputs with units, a formula, its standing, and a pure function.

Guaranteed of a loaded one: its units are known, and its content hash covers the bytes of its module and of its
data file, so that a changed digit in either is another methodology.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from hakari import settings, units
from hakari.errors import BadConfiguration, Refused
from hakari.ledger.result import Role

FORMULA = Context(prec=50, traps=[DivisionByZero, InvalidOperation, Overflow])
NOTICE = "not checked against the approved text"
NOTICE_JA = "承認された方法論の本文と照合されていません"

Standing = Literal["published", "second-hand", "recalled"]
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Code = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$")]


class MethodologyInvalid(BadConfiguration):
    """A methodology's module or data file cannot be used."""


class FormulaRefused(Refused):
    """The formula has no value for these inputs."""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ex-ante parameter that a project must give, within `minimum` and `maximum` where they are set."""

    name: Name
    unit: str
    text: Text
    minimum: Number | None = None
    maximum: Number | None = None


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A monitored quantity in `unit`. `role` is `both` only where the reductions rise with the quantity."""

    name: Name
    unit: str
    role: Role
    text: Text


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A methodology's data file. `document` is a file beside it, held to `document_sha256`."""

    code: Code
    version: Code
    title: Text
    title_ja: Text
    standing: Standing
    formula: Text
    source: Text
    parameter: list[Parameter]
    quantity: list[Quantity]
    document: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]*$")] = ""
    document_sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    approver: Text = ""


class Emissions(NamedTuple):
    """Reference and project emissions in tCO2, unrounded; the reductions are their difference."""

    reference: Decimal
    project: Decimal


Values = Mapping[str, Decimal]
Evaluate = Callable[[Values, Values], Emissions]


@dataclass(frozen=True)
class Methodology:
    """One version of a methodology; `evaluate` takes quantities and parameters by name in declared units."""

    data: Data
    sha256: str
    function: Evaluate

    @property
    def approved(self) -> bool:
        """Whether results may be locked: a published text, held by its hash, and somebody who approved it."""
        return self.data.standing == "published" and bool(self.data.document_sha256 and self.data.approver)

    @property
    def notice(self) -> str:
        """What stands beside every result, "" for an approved text."""
        return "" if self.approved else NOTICE

    @property
    def notice_ja(self) -> str:
        """The same in Japanese."""
        return "" if self.approved else NOTICE_JA

    def evaluate(self, quantities: Values, parameters: Values) -> Emissions:
        """The emissions; FormulaRefused where the formula has no value. Fifty digits, never a float."""
        try:
            return self.function(quantities, parameters)
        except (DivisionByZero, InvalidOperation, Overflow) as error:
            kind = type(error).__name__
            raise FormulaRefused(f"formula of {self.data.code} {self.data.version} has no value: {kind}") from error


def load(module_file: str, function: Evaluate) -> Methodology:
    """The methodology of a module and the TOML file of the same name beside it.

    Errors: MethodologyInvalid, hakari.settings.SettingsRefused, hakari.units.UnitUnknown.
    """
    source, data_file = Path(module_file), Path(module_file).with_suffix(".toml")
    try:
        code, content = source.read_bytes(), data_file.read_bytes()
        where = f"methodology data {data_file.name}"
        data = settings.convert(settings.parse(content.decode(), where), Data, where)
        _check(data, data_file.parent)
    except OSError as error:
        raise MethodologyInvalid(f"methodology file {error.filename} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MethodologyInvalid(f"methodology data {data_file.name} is not UTF-8; save it as UTF-8") from error
    digest = hashlib.sha256(len(code).to_bytes(8, "big") + code + content).hexdigest()
    return Methodology(data, digest, function)


def _check(data: Data, folder: Path) -> None:
    """Refuses unknown units, repeated names and a document that is not the one its hash names."""
    declared: list[tuple[str, str]] = [(one.name, one.unit) for one in data.parameter]
    declared += [(one.name, one.unit) for one in data.quantity]
    names = [name for name, _ in declared]
    if len(set(names)) != len(names) or not data.quantity:
        raise MethodologyInvalid(f"methodology {data.code} declares a name twice, or no quantity; mend its data file")
    for _, unit in declared:
        units.unit(unit)
    if not data.document:
        return
    digest = hashlib.sha256((folder / data.document).read_bytes()).hexdigest()
    if digest != data.document_sha256:
        raise MethodologyInvalid(
            f"document {data.document} of {data.code} has SHA-256 {digest}, not document_sha256; give the right one"
        )
