"""What the API answers with: decimals as strings, units in names or beside the value, times with offset."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

DecimalText = Annotated[
    str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="An exact decimal number.", examples=["858.896945"])
]
TimeText = Annotated[
    str,
    Field(
        description="RFC 3339 with offset.",
        examples=["2016-07-01T00:00:00-07:00"],
        json_schema_extra={"format": "date-time"},
    ),
]
Sha256Text = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hex.")]
Link = Annotated[str, Field(description="An address of this API.", examples=["/v1/leaves/sola-e1/1467331200/12"])]


class Answer(BaseModel):
    """Every answer: nothing that is not declared leaves the server."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Listed(Answer):
    """What every list has beside its items."""

    next: str | None = Field(description="Continues the list as `?next=`; null on the last page.")
    next_url: str | None = Field(description="The address of the next page; null on the last.")


class MethodologyNamed(Answer):
    """A methodology by its content."""

    code: str = Field(examples=["JCM_VN_F_PV"])
    version: str = Field(examples=["1.0"])
    sha256: str = Field(description="SHA-256 of its content, in hex.")


class ProjectLinks(Answer):
    """Where to go from a project."""

    self: Link
    periods: Link


class ProjectSummary(Answer):
    """A project in a list."""

    project_id: str = Field(examples=["vn017"])
    name: str
    country: str = Field(description="ISO 3166-1 alpha-2.", examples=["VN"])
    zone: str = Field(description="IANA time zone of the plant.", examples=["Asia/Ho_Chi_Minh"])
    methodology: MethodologyNamed
    document_sha256: str = Field(description="SHA-256 (hex) of the project file.")
    registered_at: TimeText
    links: ProjectLinks


class ProjectDetail(ProjectSummary):
    """A project with the exact file that was registered."""

    namespace: str = Field(description="Namespace of its edges' logs.", examples=["plant.example"])
    document: str = Field(description="The project file, TOML, exactly as registered.")


class ProjectList(Listed):
    """Projects by id."""

    items: list[ProjectSummary]


class Parameter(Answer):
    """An ex-ante value as registered, or as the methodology gives it."""

    name: str
    value: DecimalText
    unit: str
    standing: str
    source: str
    document_sha256: str
    approver: str


class MethodologyUsed(MethodologyNamed):
    """The methodology of a result; whoever shows the result shows `standing` and `notice`."""

    title: str
    title_ja: str
    standing: str = Field(description="published, second-hand or recalled.", examples=["recalled"])
    notice: str = Field(
        description="Empty only for a published text.", examples=["not checked against the approved text"]
    )
    notice_ja: str
    formula: str
    constants: list[Parameter] = Field(description="The methodology's own numbers; empty where it has none.")


class Totals(Answer):
    """A result. A figure that could not be computed is null and has its reason among the refusals."""

    reference_tco2: DecimalText | None
    project_tco2: DecimalText | None
    reductions_tco2: DecimalText | None
    reductions_whole_tco2: int | None = Field(description="Whole tonnes, rounded down once per calendar year.")


class Span(Answer):
    """The monitoring period, `[start, end)`."""

    start: TimeText
    end: TimeText
    measured_end: TimeText = Field(description="Before `end` while the period is not over at the cut.")
    zone: str
    label: str = Field(examples=["2016-07"])


class PeriodLinks(Answer):
    """Where to go from a period."""

    self: Link
    project: Link
    pack: Link | None = Field(description="Its evidence pack, null where there is none.")
    supersedes: Link | None = Field(description="The version before this one.")


class PeriodSummary(Answer):
    """A period in a list, with its totals and the standing of what computed them."""

    period_id: str = Field(examples=["vn017-2016-07"])
    project_id: str
    kind: str = Field(description="month, year or custom.", examples=["month"])
    version: int
    state: str = Field(
        description="open, closed, submitted, locked, verified, issued or superseded.", examples=["open"]
    )
    credits: bool = Field(description="False while provisional: such a result credits nothing.")
    standing: str = Field(description="Standing of the methodology.", examples=["recalled"])
    notice: str = Field(description="To be shown with the totals; empty only for a published text.")
    notice_ja: str
    monitoring_period: Span
    totals: Totals
    completeness: DecimalText = Field(description="Share of the expected slots with a good reading, 0 to 1.")
    result_sha256: str
    computed_at: TimeText
    links: PeriodLinks


class PeriodList(Listed):
    """Periods by start and id, in every version."""

    items: list[PeriodSummary]


class RegisterLinks(Answer):
    """The evidence behind a boundary register."""

    reading: Link
    leaf: Link
    leaf_body: Link


class BoundaryRegister(Answer):
    """A register at a boundary: `raw_hex` of `type` times 10^`exponent` is `value` in `unit`."""

    time: TimeText
    raw_hex: str
    type: str
    exponent: int
    value: DecimalText
    unit: str
    epoch: int
    leaf: int
    links: RegisterLinks


class Input(Answer):
    """One metering point in one calendar year: register at the end minus register at the start."""

    parameter: str
    role: str
    option: str
    point: str = Field(examples=["sola-e1/export/energy_export"])
    meter_serial: str
    accuracy_class: str
    certificate: str
    calibration_valid_to: str
    year: int
    start: BoundaryRegister | None
    end: BoundaryRegister | None
    quantity: DecimalText | None = Field(description="In `unit`; null when refused.")
    unit: str
    good_slots: int
    expected_slots: int
    equipment: str = Field(description="What it was measured for; empty for a methodology without equipment.")
    energised_above: str = Field(description="The threshold of energised hours; empty for a register.")
    origin: str = Field(description="Empty where an edge measured; else received, imported or declared.")


class Vintage(Totals):
    """One calendar year at the plant's zone."""

    year: int
    start: TimeText
    end: TimeText
    quantities: dict[str, DecimalText] = Field(description="Monitored parameter → value, units as in the methodology.")


class EquipmentVintage(Answer):
    """What one equipment gave in one calendar year, unrounded; null where something was refused."""

    year: int
    quantities: dict[str, DecimalText]
    reference_tco2: DecimalText | None
    project_tco2: DecimalText | None
    reductions_tco2: DecimalText | None


class Equipment(Answer):
    """One equipment of the register with each factor of its emissions."""

    id: str = Field(examples=["chiller-1"])
    class_: str = Field(alias="class", description="Its class; may be empty.", examples=["300-450"])
    units: int
    in_service: str = Field(description="First local day that counts.", examples=["2016-06-01"])
    out_of_service: str = Field(description="First local day that no longer counts; empty while it serves.")
    parameters: list[Parameter]
    class_values: list[Parameter] = Field(description="What the methodology gives for its class.")
    vintages: list[EquipmentVintage]


class Suspension(Answer):
    """A time in which readings of a meter did not count."""

    start: TimeText
    end: TimeText
    text: str


class PointEvidence(Answer):
    """What the edge's log says of one point: its profile, who commissioned it, when nothing counted, the clock."""

    point: str
    profile: str
    proof: str = Field(description="How the profile was proven: constructed, captured; empty where it is not stated.")
    identity_proof: str
    commissioned: TimeText | None
    by: str
    witness: str
    display: str = Field(description="The meter's display as it was typed.")
    difference: str = Field(description="How far the register was from it.")
    verdict: str = Field(description="matched, or matched, scale not proven; empty without a commissioning.")
    epoch: int | None
    leaf: int | None
    suspended: list[Suspension]
    clocks: dict[str, int] = Field(description="State of the clock → leaves that were dated by it.")
    unrecorded: str = Field(description="What is listed as commissioned without a signed record; empty where none is.")


class Given(Answer):
    """What gave readings of a point that no edge measured, as a signed event tells."""

    point: str
    origin: str
    way: str = Field(description="person, folder, or empty where they came over MQTT.")
    who: str
    why: str
    name: str = Field(description="The file.")
    sha256: str
    document: str
    document_sha256: str
    imported: TimeText | None
    epoch: int
    leaf: int
    left_out: int = Field(description="How many more there are beside those told.")


class Line(Answer):
    """Something that a verifier must see: a gap, a wrap, a cap."""

    rule: str
    point: str
    start: TimeText
    end: TimeText
    hours: DecimalText
    quantity: str = Field(description="In `unit`; may be empty.")
    unit: str
    effect: str
    text: str


class Cut(Answer):
    """The leaves that count: those of `origin` below `size`."""

    origin: str
    size: int
    root: str = Field(description="RFC 6962 root, base64.")


class Rules(Answer):
    """The version of the rule table."""

    version: str
    sha256: str


class PeriodDetail(PeriodSummary):
    """A period with everything that its total was made of."""

    methodology: MethodologyUsed
    rules: Rules
    project_sha256: str
    vintages: list[Vintage]
    inputs: list[Input]
    parameters: list[Parameter]
    lines: list[Line]
    cuts: list[Cut]
    configurations: list[str]
    refusals: list[str] = Field(description="Why it cannot be locked.")
    equipment: list[Equipment] = Field(description="The equipment register; the totals are its sum.")
    evidence: list[PointEvidence] = Field(description="What the edges' logs say of each point beside readings.")
    given: list[Given] = Field(description="What gave readings that no edge measured; empty where edges measured all.")
    statement: str = Field(description="The signed statement of a locked period, else empty.")


class ReadingLinks(Answer):
    """The evidence of a reading."""

    leaf: Link


class Reading(Answer):
    """One reading as the register said it."""

    time: TimeText
    value: DecimalText | None = Field(description="In `unit`; null when the quality is bad.")
    unit: str | None = Field(
        description="From the logged configuration; null where that is not known.", examples=["Wh"]
    )
    quality: str = Field(description="good, uncertain or bad.", examples=["good"])
    reason: str = Field(description="Why it is not good; empty when it is.")
    type: str = Field(examples=["u32"])
    raw_hex: str = Field(description="The register's bit pattern.", examples=["0003a2f1"])
    exponent: int
    epoch: int
    leaf: int
    boot: str
    mono_ms: int
    links: ReadingLinks


class ReadingList(Listed):
    """Readings of one point in the order of time."""

    point: str
    start: TimeText
    end: TimeText
    items: list[Reading]


class LeafLinks(Answer):
    """Where to go from a leaf."""

    self: Link
    body: Link
    previous: Link | None
    next: Link | None


class LeafDetail(Answer):
    """One signed leaf: what the edge said, byte for byte, and the checkpoint that signs it."""

    edge_id: str = Field(examples=["sola-e1"])
    epoch: int
    i: int
    origin: str = Field(examples=["plant.example/sola/e1/1467331200"])
    leaf_sha256: Sha256Text = Field(description="SHA-256 of the body's bytes.")
    rfc6962_leaf_hash: Sha256Text = Field(description="SHA-256 of 0x00 and the body's bytes, as in the tree.")
    received_at: TimeText
    checkpoint: str = Field(description="The edge's signed checkpoint of size i + 1.")
    leaf: JsonValue = Field(description="The body as JSON; null where it is none.")
    malformed: str = Field(description="Why the body is not a leaf of a known form; empty when it is one.")
    links: LeafLinks
