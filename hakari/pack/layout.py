"""What a pack holds and where: names of entries, the manifest, leaf records, the page that explains it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from hakari.log.gone import WORD_BYTES
from hakari.names import Origin
from hakari.pack.container import MANIFEST, PackMalformed, order
from hakari.wire.envelope import HASH_BYTES, MAX_MESSAGE_BYTES
from hakari.wire.forgone import Forgone, ForgoneMalformed, decode

README = "README.txt"
PROJECT = "project.toml"
RESULT = "result.json"
ROSTER = "roster.note"
STATEMENT = "statement.note"
SINGLE = (README, PROJECT, RESULT, ROSTER, STATEMENT, MANIFEST)
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_LENGTH_BYTES = 4
_DECISION_LENGTH_BYTES = 2


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry as the manifest lists it; `sha256` in hex."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every entry except the manifest itself, in the container's order."""

    v: int
    entries: list[Listed]


class HashOnly(NamedTuple):
    """In place of a leaf whose body nobody has any more (I11): its hash, and who decided to go on without it.

    `word` is its edge's, signed, that it has none (`hakari/log/gone.py`).
    """

    leaf_hash: bytes
    forgone: Forgone
    word: bytes


class Names(NamedTuple):
    """The entries of one origin."""

    leaves: str
    checkpoint: str
    mark: str


def names_of(edge_id: str, epoch: int) -> Names:
    """Where the evidence of (edge, epoch) stands."""
    checkpoints = f"checkpoints/{edge_id}/{epoch}"
    return Names(f"leaves/{edge_id}/{epoch}.leaves", f"{checkpoints}.note", f"{checkpoints}.mark")


def names_of_origin(origin: Origin) -> Names:
    """Where the evidence of `origin` stands."""
    return names_of(origin.edge_id, origin.epoch)


def record(deflated: bytes) -> bytes:
    """A leaf as it stands in its entry: its length in 4 bytes, big endian, then the deflated body as sent."""
    return len(deflated).to_bytes(_LENGTH_BYTES, "big") + deflated


def hash_record(one: HashOnly) -> bytes:
    """The same of a leaf without a body: four zero bytes, its hash, its edge's word, the decision after its length."""
    line = one.forgone.encode()
    head = bytes(_LENGTH_BYTES) + one.leaf_hash + one.word
    return head + len(line).to_bytes(_DECISION_LENGTH_BYTES, "big") + line


def records(name: str, content: memoryview) -> Iterator[bytes | HashOnly]:
    """The deflated bodies in entry `name`, in order, or what stands for one.

    PackMalformed where a record is cut off or too long.
    """
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        start = at + _LENGTH_BYTES
        if not length:
            one, at = _hash_only(name, content, start)
            yield one
            continue
        if start + length > len(content) or length > MAX_MESSAGE_BYTES:
            raise PackMalformed(f"pack entry {name}: the leaf at byte {at} is empty, cut off or longer than a message")
        yield bytes(content[start : start + length])
        at = start + length


def _hash_only(name: str, content: memoryview, start: int) -> tuple[HashOnly, int]:
    """What stands at `start` for a leaf without a body, and where it ends."""
    said = start + HASH_BYTES
    told = said + WORD_BYTES
    line = told + _DECISION_LENGTH_BYTES
    end = line + int.from_bytes(content[told:line], "big")
    if line > len(content) or end > len(content):
        raise PackMalformed(
            f"pack entry {name}: the leaf before byte {start} is empty, cut off or longer than a message"
        )
    try:
        return HashOnly(bytes(content[start:said]), decode(bytes(content[line:end])), bytes(content[said:told])), end
    except ForgoneMalformed as error:
        raise PackMalformed(f"pack entry {name}: at byte {line} {error}") from error


def manifest_text(listed: list[Listed]) -> str:
    """The manifest of entries listed in any order."""
    ordered = sorted(listed, key=lambda one: order(one.name))
    return msgspec.json.format(msgspec.json.encode(Manifest(1, ordered)), indent=1).decode() + "\n"


def check_manifest(contents: Mapping[str, memoryview]) -> None:
    """Nothing, if the manifest lists exactly these contents; PackMalformed names what differs."""
    try:
        given = msgspec.json.decode(contents[MANIFEST][:MAX_MANIFEST_BYTES], type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackMalformed(f"pack entry {MANIFEST} cannot be read: {error}") from error
    found = [_listed(name, content) for name, content in contents.items() if name != MANIFEST]
    for one, other in zip(given.entries, found, strict=False):
        if one != other:
            raise PackMalformed(f"pack entry {other.name} is not the one that {MANIFEST} lists ({one.name[:80]})")
    if manifest_text(found).encode() != contents[MANIFEST]:
        raise PackMalformed(f"pack entry {MANIFEST} is not the manifest of the other entries in its one form")


def _listed(name: str, content: memoryview) -> Listed:
    return Listed(name, len(content), hashlib.sha256(content).hexdigest())


def readme(project: str, label: str) -> str:
    """The page that explains the pack of one project and period, English and Japanese."""
    return _README.format(project=project, label=label)


_README = """\
Evidence pack: project {project}, period {label}

This file holds everything that the period's total rests on. Anyone can compute the total again from it, without
a network and without trusting whoever made it, with the owner's public key and this command:

    hakari verify THIS-FILE --owner-key OWNER.pub

statement.note   what is stated and who signed it: project, period, cut, methodology, parameters, rules, result.
                 Its state is "provisional" (credits nothing) or "locked".
result.json      the result in full: every figure with its boundary registers and the leaves that hold them. An input
                 with an "origin" was not measured by an edge; "given" names for each its origin, who gave it and why,
                 the file or document with its SHA-256, and when it was imported. hakari verify prints the same.
project.toml     the project and its monitoring plan as registered.
roster.note      the keys of edges, cosigners and statements, signed by the owner.
leaves/          every leaf before the cut, as its edge signed and sent it: for each a length of 4 bytes and the
                 deflated JSON. A leaf holds the raw answers of the meters; decoding starts from these.
checkpoints/     for each log the edge's signed root at the cut (.note) and the receiver's cosignature (.mark).
manifest.json    size and SHA-256 of every entry.

Not proven by it: that a meter measures truly and is wired right (calibration, seals and site visits do that).

----

証拠パック：プロジェクト {project}、期間 {label}

このファイルには、期間合計の根拠がすべて入っています。所有者の公開鍵があれば、次のコマンドで、誰でも、
ネットワークなしで、作成者を信頼することなく、合計を再計算できます。

    hakari verify このファイル --owner-key OWNER.pub

statement.note   署名された声明：プロジェクト、期間、対象範囲、方法論、パラメータ、規則、結果。
                 状態は "provisional"（暫定、クレジット対象外）または "locked"（確定）です。
result.json      結果の全体：各数値と、その境界の検針値、それを含むリーフ。"origin" のある入力はエッジによる計測値では
                 なく、"given" がその由来、入力者と理由、ファイルまたは証憑とその SHA-256、取込時刻を示します。
                 hakari verify も同じ内容を表示します。
project.toml     登録されたプロジェクトとモニタリング計画。
roster.note      エッジ、連署者、声明の鍵。所有者が署名しています。
leaves/          対象範囲のすべてのリーフ。エッジが署名し送信したままのデータ（4 バイトの長さと圧縮 JSON）。
checkpoints/     各ログの、エッジが署名したルート（.note）と受信側の連署（.mark）。
manifest.json    全項目の大きさと SHA-256。

計器が正しく計測し正しく配線されていることは、このファイルでは証明されません（校正、封印、現地調査によります）。
"""
