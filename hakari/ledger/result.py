"""The computed result of one period: every figure with its origin, ready to be stored, shown and signed.

Decimals are strings in full precision, times UTC milliseconds, registers the hex words of their bit pattern.
The JSON of a result (`encode`) has one form, so its SHA-256 can be named by a statement.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from hakari.errors import DataProblem

VERSION = 1
MAX_RESULT_BYTES = 64 * 1024 * 1024

State = Literal["provisional", "locked"]
Role = Literal["credited", "debited", "both"]
Decimals = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=300)]


class ResultMalformed(DataProblem):
    """A stored or packed result is not one in its one form."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts of a result share: frozen, no unknown field."""


class Register(_Part, frozen=True):
    """A boundary register: the bit pattern `words` (hex) of `type` times 10^`exponent` is `value` in `unit`.

    `t_ms` is the slot; (`epoch`, `leaf`) is the signed leaf that holds it.
    """

    t_ms: int
    words: str
    type: str
    exponent: int
    value: Decimals
    unit: str
    epoch: int
    leaf: int


class Line(_Part, frozen=True):
    """Something a verifier must see: a gap, a wrap, a phantom, a cap. `rule` is a key of the rule table.

    `quantity` is in `unit` and may be empty; `effect` says what it did to the result.
    """

    rule: str
    point: str
    start_ms: int
    end_ms: int
    hours: Decimals
    quantity: str
    unit: str
    effect: str
    text: str


class Input(_Part, frozen=True, omit_defaults=True):
    """One metering point within one vintage: end − start and what was joined or taken off.

    `quantity` is in `unit` (the methodology's); None when it was refused, with the reason among the result's
    refusals. `good_slots` of `expected_slots` had a GOOD reading. `equipment` is what it was measured for. With
    `energised_above` (in the registers' unit) it is the time in which the gauge stood above that; `start` and `end`
    are then the first and last readings between which time counts. `origin` is "" where an edge measured, else how the
    readings came: received, imported or declared.
    """

    parameter: str
    role: Role
    option: Literal["A", "B", "C"]
    point: str
    meter_serial: str
    accuracy_class: str
    certificate: str
    calibration_valid_to: str
    year: int
    start: Register | None
    end: Register | None
    quantity: Decimals | None
    unit: str
    good_slots: int
    expected_slots: int
    equipment: str = ""
    energised_above: str = ""
    origin: str = ""


class Vintage(_Part, frozen=True):
    """One calendar year at the plant's zone; the only place where anything is rounded, and downwards."""

    year: int
    start_ms: int
    end_ms: int
    quantities: dict[str, Decimals]
    reference_tco2: Decimals | None
    project_tco2: Decimals | None
    reductions_tco2: Decimals | None
    reductions_whole_tco2: int | None


class Cut(_Part, frozen=True):
    """The leaves that count: those of `origin` below `size`, whose RFC 6962 root is `root` (base64)."""

    origin: str
    size: int
    root: str


class ParameterUsed(_Part, frozen=True):
    """An ex-ante value as the project registered it, or as the methodology gives it (its text is `source`)."""

    name: str
    value: Decimals
    unit: str
    standing: str
    source: str
    document_sha256: str
    approver: str


class MethodologyUsed(_Part, frozen=True, omit_defaults=True):
    """The methodology by its content hash. `notice` is empty only for a published text; `constants` are its own."""

    code: str
    version: str
    title: str
    title_ja: str
    sha256: str
    standing: str
    notice: str
    notice_ja: str
    formula: str
    constants: list[ParameterUsed] = []


class EquipmentVintage(_Part, frozen=True):
    """What one equipment gave in one calendar year, unrounded; None where a quantity or the formula was refused."""

    year: int
    quantities: dict[str, Decimals]
    reference_tco2: Decimals | None
    project_tco2: Decimals | None
    reductions_tco2: Decimals | None


class EquipmentUsed(_Part, frozen=True):
    """One equipment of the register: `units` of a class, its service dates (local days), values and emissions.

    `parameters` are its own, `class_values` the methodology's for its class; `out_of_service` is "" while it serves.
    """

    id: str
    class_: str = msgspec.field(name="class")
    units: int
    in_service: str
    out_of_service: str
    parameters: list[ParameterUsed]
    class_values: list[ParameterUsed]
    vintages: list[EquipmentVintage]


class Suspension(_Part, frozen=True):
    """A time in which readings of a meter did not count, and why (`text`)."""

    start_ms: int
    end_ms: int
    text: str


class PointEvidence(_Part, frozen=True, omit_defaults=True):
    """What the edge's log says of one point within the period, apart from readings.

    `profile` and its `proof` ("", "constructed" or "captured") are those last in force. The commissioning that
    matched the point, at `commissioned_ms` (plant time), is told by leaf (`epoch`, `leaf`): who, `display` as typed,
    its `difference` from the register, and `verdict` ("matched", or "matched, scale not proven"). `suspended` are
    times in which nothing counted; `clocks` how many leaves with samples were dated in each state of the clock.
    `unrecorded` says which point is listed as commissioned without such a record, "" where none is.
    """

    point: str
    profile: str
    proof: str = ""
    identity_proof: str = ""
    commissioned_ms: int | None = None
    by: str = ""
    witness: str = ""
    display: str = ""
    difference: str = ""
    verdict: str = ""
    epoch: int | None = None
    leaf: int | None = None
    suspended: list[Suspension] = []
    clocks: dict[str, int] = {}
    unrecorded: str = ""


class Given(_Part, frozen=True, omit_defaults=True):
    """What gave readings of `point` that no edge measured, as the signed event of leaf (`epoch`, `leaf`) tells.

    `way` is "person" where somebody handed in the file or the values, "folder" where a watched folder took the file
    and `who` is that folder's source, "" where they came over MQTT and were signed on receipt. `name` and `sha256`
    are the file's, `document` what values were read from, `imported_ms` plant time. `left_out` is how many more there
    are beside those that are told.
    """

    point: str
    origin: str
    way: str
    epoch: int
    leaf: int
    who: str = ""
    why: str = ""
    name: str = ""
    sha256: str = ""
    document: str = ""
    document_sha256: str = ""
    imported_ms: int | None = None
    left_out: int = 0


class PeriodResult(_Part, frozen=True, omit_defaults=True):
    """One project's result for one period. `label` is `2016-07`, `2016` or `2016-07-01/2016-10-01`.

    `measured_end_ms` is before `end_ms` while the period is not over at the cut. `refusals` are the reasons
    why it cannot be locked; a figure that could not be computed is None and has its reason there. `equipment` is
    empty for a methodology without; totals are its sum. `evidence` has each point once, `given` what gave the
    readings of each point that no edge measured, from its first boundary register to its last.
    """

    v: int
    project: str
    name: str
    project_sha256: str
    label: str
    zone: str
    start_ms: int
    end_ms: int
    measured_end_ms: int
    state: State
    methodology: MethodologyUsed
    rules_version: str
    rules_sha256: str
    parameters: list[ParameterUsed]
    reference_tco2: Decimals | None
    project_tco2: Decimals | None
    reductions_tco2: Decimals | None
    reductions_whole_tco2: int | None
    completeness: Decimals
    vintages: list[Vintage]
    inputs: list[Input]
    lines: list[Line]
    cuts: list[Cut]
    configurations: list[str]
    refusals: list[str]
    equipment: list[EquipmentUsed] = []
    evidence: list[PointEvidence] = []
    given: list[Given] = []


def encode(result: PeriodResult) -> str:
    """The one JSON form of `result`, ending with a line feed."""
    return msgspec.json.encode(result).decode() + "\n"


def decode(text: str) -> PeriodResult:
    """The result that `text` is; ResultMalformed names what is wrong."""
    if len(text) > MAX_RESULT_BYTES:
        raise ResultMalformed(f"result has {len(text)} characters, limit {MAX_RESULT_BYTES}")
    try:
        result = msgspec.json.decode(text.encode(), type=PeriodResult)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise ResultMalformed(f"result cannot be read: {error}") from error
    if result.v != VERSION or encode(result) != text:
        raise ResultMalformed(f"result is not in the one form of version {VERSION}")
    return result


def sha256_of(text: str) -> str:
    """The hash (hex) by which a statement names a result or a project file."""
    return hashlib.sha256(text.encode()).hexdigest()
