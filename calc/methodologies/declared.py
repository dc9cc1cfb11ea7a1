"""What a methodology's data file declares: inputs with units, classes of equipment, constants; checked when loaded.

Guaranteed of a checked one: its units are known, no name stands twice, the limits of classes do not overlap and
every class gives every value that classes have.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hakari import units
from hakari.errors import BadConfiguration
from hakari.ledger.result import Role

UNITS = "units"
MAX_CLASSES = 200

Standing = Literal["published", "second-hand", "recalled"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}\Z")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}\Z")]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,30})?\Z")]


class MethodologyInvalid(BadConfiguration):
    """A methodology's module or data file cannot be used."""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ex-ante parameter that must be given, within `minimum` and `maximum` where they are set."""

    name: Name
    unit: str
    text: Text
    minimum: Number | None = None
    maximum: Number | None = None


class ClassParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter whose value each class of equipment gives."""

    name: Name
    unit: str
    text: Text


class EquipmentClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of equipment: `minimum` ≤ `parameter` < `below`, and its values. Without `parameter` it has no limits."""

    key: Code
    standing: Standing
    source: Text
    values: dict[Name, Number]
    parameter: str = ""
    minimum: Number | None = None
    below: Number | None = None

    @property
    def limits(self) -> str:
        """The limits in words, such as `300 ≤ capacity < 450`; "" where it has none."""
        low = "" if self.minimum is None else f"{self.minimum} ≤ "
        high = "" if self.below is None else f" < {self.below}"
        return f"{low}{self.parameter}{high}" if self.parameter else ""

    def holds(self, value: Decimal) -> bool:
        """Whether equipment of that size belongs to the class."""
        low, high = self.minimum, self.below
        return (low is None or Decimal(low) <= value) and (high is None or value < Decimal(high))


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of the methodology's own text, the same for every project."""

    name: Name
    value: Number
    unit: str
    text: Text
    standing: Standing
    source: Text


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A monitored quantity in `unit`. `role` is `both` only where the reductions rise with the quantity.

    A `register` is measured as end − start, `energised_hours` as the time in which a voltage stood above the plan's
    threshold. A point of a `shared` one may measure for all equipment.
    """

    name: Name
    unit: str
    role: Role
    text: Text
    kind: Literal["register", "energised_hours"] = "register"
    shared: bool = False


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A methodology's data file. `document` is a file beside it, held to `document_sha256`.

    With an `equipment_parameter` the formula is computed for each equipment of the project and summed.
    """

    code: Code
    version: Code
    title: Text
    title_ja: Text
    standing: Standing
    formula: Text
    source: Text
    parameter: list[Parameter]
    quantity: list[Quantity]
    document: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]*\Z")] = ""
    document_sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    approver: Text = ""
    equipment_parameter: list[Parameter] = []
    class_parameter: list[ClassParameter] = []
    class_: Annotated[list[EquipmentClass], msgspec.Meta(max_length=MAX_CLASSES)] = msgspec.field(
        default_factory=list, name="class"
    )
    constant: list[Constant] = []

    @property
    def has_equipment(self) -> bool:
        """Whether the formula is computed for each equipment."""
        return bool(self.equipment_parameter)


def check_data(data: Data, folder: Path) -> None:
    """Nothing, if the data can be used; MethodologyInvalid or hakari.units.UnitUnknown otherwise."""
    declared: list[tuple[str, str]] = [
        *((one.name, one.unit) for one in chain(data.parameter, data.equipment_parameter)),
        *((one.name, one.unit) for one in data.class_parameter),
        *((one.name, one.unit) for one in data.constant),
        *((one.name, one.unit) for one in data.quantity),
    ]
    names = [name for name, _ in declared]
    if len(set(names)) != len(names) or not data.quantity:
        raise MethodologyInvalid(f"methodology {data.code} declares a name twice, or no quantity; mend its data file")
    for _, unit in declared:
        units.unit(unit)
    for quantity in data.quantity:
        if quantity.kind == "energised_hours" and units.unit(quantity.unit).dimension != "time":
            raise MethodologyInvalid(f"quantity {quantity.name} of {data.code} is a time; declare it in h")
    _check_equipment(data, names)
    _check_document(data, folder)


def _check_equipment(data: Data, names: list[str]) -> None:
    if not data.has_equipment:
        if data.class_ or data.class_parameter or any(one.shared for one in data.quantity):
            raise MethodologyInvalid(
                f"methodology {data.code} has classes or shared quantities but no equipment_parameter; declare one"
            )
        return
    if UNITS in names:
        raise MethodologyInvalid(f"methodology {data.code} declares {UNITS!r}, which every equipment has; rename it")
    if bool(data.class_) != bool(data.class_parameter):
        raise MethodologyInvalid(f"methodology {data.code} needs class and class_parameter together; add the other")
    keys = [one.key for one in data.class_]
    limited = {one.parameter for one in data.class_}
    known = {"", *(one.name for one in data.equipment_parameter)}
    if len(set(keys)) != len(keys) or len(limited) > 1 or not limited <= known:
        raise MethodologyInvalid(
            f"classes of {data.code} must have keys of their own and limits of one equipment_parameter; mend them"
        )
    wanted = {one.name for one in data.class_parameter}
    for one in data.class_:
        if set(one.values) != wanted:
            raise MethodologyInvalid(f"class {one.key} of {data.code} gives {sorted(one.values)}, not {sorted(wanted)}")
    _check_limits(data)


def _check_limits(data: Data) -> None:
    """Refuses limits without a parameter, empty classes and classes that overlap."""
    infinite = Decimal("Infinity")
    ranges = [
        (
            -infinite if one.minimum is None else Decimal(one.minimum),
            infinite if one.below is None else Decimal(one.below),
        )
        for one in data.class_
    ]
    if any(not one.parameter and (one.minimum, one.below) != (None, None) for one in data.class_):
        raise MethodologyInvalid(f"a class of {data.code} has limits without a parameter that they limit; name it")
    ordered = sorted(ranges)
    overlap = any(one[1] > two[0] for one, two in pairwise(ordered))
    if any(low >= high for low, high in ranges) or (overlap and data.class_[0].parameter):
        raise MethodologyInvalid(f"classes of {data.code} are empty or overlap; mend minimum and below")


def _check_document(data: Data, folder: Path) -> None:
    if not data.document:
        return
    digest = hashlib.sha256((folder / data.document).read_bytes()).hexdigest()
    if digest != data.document_sha256:
        raise MethodologyInvalid(
            f"document {data.document} of {data.code} has SHA-256 {digest}, not document_sha256; give the right one"
        )
