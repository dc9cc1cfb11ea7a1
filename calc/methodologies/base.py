"""What a methodology is: declared inputs with units, a formula, its standing, and a pure function.

Guaranteed of a loaded one: its data file is checked, and its content hash covers the bytes of its module and of its
data file, so that a changed digit in either is another methodology.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from pathlib import Path
from typing import NamedTuple

from calc.methodologies.declared import Data, MethodologyInvalid, check_data
from hakari import settings
from hakari.errors import Refused

FORMULA = Context(prec=50, traps=[DivisionByZero, InvalidOperation, Overflow])
NOTICE = "not checked against the approved text"
NOTICE_JA = "承認された方法論の本文と照合されていません"


class FormulaRefused(Refused):
    """The formula has no value for these inputs."""


class Emissions(NamedTuple):
    """Reference and project emissions in tCO2, unrounded; the reductions are their difference."""

    reference: Decimal
    project: Decimal


Values = Mapping[str, Decimal]
Evaluate = Callable[[Values, Values], Emissions]


@dataclass(frozen=True)
class Methodology:
    """One version of a methodology; `evaluate` takes quantities and parameters by name in declared units.

    With equipment the parameters are the project's, the constants, and that equipment's: its own, its class's and
    its `units`.
    """

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
        check_data(data, data_file.parent)
    except OSError as error:
        raise MethodologyInvalid(f"methodology file {error.filename} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MethodologyInvalid(f"methodology data {data_file.name} is not UTF-8; save it as UTF-8") from error
    digest = hashlib.sha256(len(code).to_bytes(8, "big") + code + content).hexdigest()
    return Methodology(data, digest, function)
