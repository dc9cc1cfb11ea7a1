"""What dashboards and alerts say, in English and Japanese: the English sentence is the key, each has one Japanese."""

from __future__ import annotations

from collections.abc import Callable, Mapping

ENGLISH, JAPANESE = "en", "ja"
LANGUAGES = (ENGLISH, JAPANESE)
Say = Callable[[str], str]


class TextMissing(KeyError):
    """A text has no Japanese entry: add it to `JA`."""


def speaker(language: str) -> Say:
    """What turns an English text into `language`; TextMissing for one that nobody translated."""
    return _english if language == ENGLISH else _japanese


def _english(text: str) -> str:
    if text not in JA:
        raise TextMissing(f"{text!r} has no Japanese entry in grafana/texts.py; add it")
    return text


def _japanese(text: str) -> str:
    return JA[_english(text)]


_STATES = {
    "ok": "正常",
    "suspect": "要確認",
    "stale": "途絶",
    "unproven": "検収未了",
    "suspended": "算入停止中",
    "never": "受信実績なし",
    "silent": "エッジ途絶",
    "frozen": "凍結（不一致）",
    "draft": "暫定",
    "locked": "確定",
    "good": "良好",
    "uncertain": "不確か",
    "bad": "不良",
}

_NAMES = {
    "hakari fleet (UTC)": "hakari 全プラント（UTC）",
    "hakari plant": "hakari プラント",
    "hakari data quality": "hakari データ品質",
    "All plants at a glance: who reports, who is silent, and the day's draft figures. Times are UTC.": (
        "全プラントの概況：計測値が届いているか、途絶しているか、当日の暫定値。時刻は UTC。"
    ),
    "One plant: power, registers, states of its meters and calc's days.": (
        "1 プラント：電力、積算値、計器の状態、calc の日値。"
    ),
    "How whole the data is: completeness by day and meter, quality, ages, lateness and refusals.": (
        "データの完全性：日別・計器別の完全率、品質、経過時間、遅延、受入不可。"
    ),
    "Fleet": "全プラント",
    "Plant": "プラント",
    "Data quality": "データ品質",
    "日本語": "日本語",
    "English": "English",
    "Meter": "計器",
    "Register": "積算値",
    "Quantity": "測定量",
    "Interval at least": "最小間隔",
    "Now": "現在",
    "Plants": "プラント",
    "Today (draft)": "当日（暫定）",
    "Alerts": "アラート",
    "Measured": "測定値",
    "States": "状態",
    "Days by calc (draft until locked)": "calc の日値（確定まで暫定）",
    "Completeness": "完全率",
    "Readings": "測定値の品質",
    "Transport": "伝送",
}

_COLUMNS = {
    "online": "稼働",
    "plants": "プラント数",
    "reporting": "受信中",
    "on the roster": "登録数",
    "plant": "プラント",
    "edge": "エッジ",
    "meter": "計器",
    "point": "計測点",
    "state": "状態",
    "meters reporting": "受信中の計器",
    "meters on the roster": "登録計器",
    "oldest reading": "最も古い測定値",
    "leaves behind": "未反映リーフ",
    "completeness": "完全率",
    "age": "経過時間",
    "limit": "限度",
    "unchanged for": "変化なし期間",
    "last value": "最新値",
    "quality": "品質",
    "last 24 h": "直近 24 時間",
    "late": "遅延",
    "leaves": "リーフ数",
    "epochs not approved": "未承認エポック",
    "conflict": "不一致",
    "day": "日",
    "project": "プロジェクト",
    "methodology": "方法論",
    "standing": "根拠の位置付け",
    "reference tCO2": "リファレンス排出量 tCO2",
    "project tCO2": "プロジェクト排出量 tCO2",
    "reductions tCO2": "排出削減量 tCO2",
    "quantity": "量",
    "unit": "単位",
    "amount": "値",
    "incidents": "事象",
    "refused": "算定不可",
    "epoch": "エポック",
    "leaf": "リーフ",
    "reason": "理由",
    "fall": "低下",
    "since": "発生",
    "severity": "重大度",
    "kind": "種類",
    "what (en)": "内容（英語）",
    "what (ja)": "内容（日本語）",
    "number": "番号",
    "yes": "はい",
    "no": "いいえ",
}

_PANELS = {
    "Plants online": "稼働プラント",
    "Plants with at least one edge that has delivered a leaf within its limit, of all plants on the roster. "
    "No data: ingest itself is not writing; see HealthAbsent.": (
        "登録プラントのうち、限度内にリーフを送ったエッジが 1 台以上あるもの。"
        "データなしの場合は ingest 自体が停止：HealthAbsent を参照。"
    ),
    "Meters reporting": "受信中の計器",
    "Meters whose freshest point has a good reading within its limit, of all meters on the roster.": (
        "登録計器のうち、最新の良好な測定値が限度内にあるもの。"
    ),
    "Oldest reading": "最も古い測定値",
    "The greatest age of any meter's freshest good reading, counted also while nothing arrives.": (
        "各計器の最新の良好な測定値のうち、最も古いものの経過時間。何も届かない間も増え続けます。"
    ),
    "Silent meters": "途絶した計器",
    "Meters without a good reading within their limit, those behind a silent edge included.": (
        "限度内に良好な測定値がない計器。途絶したエッジの配下も含みます。"
    ),
    "View lag": "未反映リーフ",
    "Leaves that are stored in the evidence log and not yet in the readings view, over all edges. "
    "Nothing is lost while it is above 0; the dashboards lag behind.": (
        "証跡ログに保存済みで、まだ測定値ビューに反映されていないリーフの数（全エッジ）。"
        "0 を超えても失われたものはなく、画面が遅れているだけです。"
    ),
    "Plants now": "プラントの現況",
    "One line a plant: the worst state of its edges, meters that report, the oldest reading, and the newest day's "
    "completeness. Click a plant to open it with the same time range.": (
        "1 行 1 プラント：エッジの最悪状態、受信中の計器、最も古い測定値、最新日の完全率。"
        "プラント名から同じ期間で詳細を開きます。"
    ),
    "State of each plant": "プラントの状態推移",
    "The worst state of each plant's edges over time. Silent: no leaf within the limit; what the edge measures is "
    "buffered and arrives later. Conflict: an epoch is frozen, delete nothing.": (
        "各プラントのエッジの最悪状態の推移。エッジ途絶：限度内にリーフなし（計測値はエッジに保存され後で届きます）。"
        "凍結：エポックに不一致あり、何も削除しないこと。"
    ),
    "Emissions of the newest day (draft)": "最新日の排出量（暫定）",
    "Calc's newest local day of each project. A draft changes with late readings; only a locked period's statement "
    "counts.": "各プロジェクトの最新の現地日。遅れて届く測定値で変わる暫定値であり、確定した期間の声明だけが有効です。",
    "Quantities of the newest day": "最新日の測定量",
    "Calc's newest local day of each metering point that a project binds, in the methodology's unit.": (
        "プロジェクトに結び付く各計測点の最新の現地日の量（方法論の単位）。"
    ),
    "Open alerts": "発生中のアラート",
    "Alerts of hakari that fire, are pending or have an error.": (
        "hakari のアラートのうち、発生中・保留中・エラーのもの。"
    ),
    "Standing alarms": "発生中の警報",
    "What ingest itself alarms with, as `hakari ingest alarms` lists it and webhooks are told. Alarms behind a "
    "silent edge stay as they were.": (
        "ingest 自身が判定した警報（`hakari ingest alarms` の一覧および webhook の通知と同じ）。"
        "途絶したエッジの配下の警報はそのまま残ります。"
    ),
    "State": "状態",
    "The worst state of the plant's edges now.": "プラントのエッジの現在の最悪状態。",
    "Reductions in the range (draft)": "期間内の排出削減量（暫定）",
    "Sum of calc's days in the chosen range. A draft: the ledger's period and its signed statement are what counts.": (
        "選択期間の calc の日値の合計。暫定値であり、台帳の期間と署名付き声明が正式な値です。"
    ),
    "Power": "電力・熱出力",
    "Mean of the good readings of every point named power, in the unit of the meter's profile (W or kW; "
    "docs/meters.md). An interval without a good reading is left empty.": (
        "power という名の計測点の良好な測定値の平均。単位は計器プロファイルによります（W または kW、docs/meters.md）。"
        "良好な測定値のない間隔は空けて表示します。"
    ),
    "Registers": "積算値",
    "Cumulative registers as the meters say them, in the unit of the meter's profile. A red point marks a fall: reset, "
    "rollover or replacement; its height is the step.": (
        "計器の積算値（単位は計器プロファイルによる）。赤い点は低下（リセット、桁あふれ、交換）で、高さは差分です。"
    ),
    "Rise of the registers": "積算値の増分",
    "What each register rose by in each interval, the last step before the interval's end included; falls are left "
    "out. For the eye: credited quantities are calc's days below.": (
        "間隔ごとの積算値の増分（終端の測定値までを含み、低下は除く）。参考表示であり、算定に使う量は下の日値です。"
    ),
    "Any quantity": "任意の測定量",
    "Mean of the good readings of the point chosen above, in the unit of the meter's profile.": (
        "上で選んだ計測点の良好な測定値の平均（単位は計器プロファイルによる）。"
    ),
    "State of each meter": "計器の状態推移",
    "The worst state of each meter's points over time; a point that never had a reading counts only where all are so. "
    "Stale: no good reading within the limit. Suspect: the last one was not good.": (
        "各計器の計測点の最悪状態の推移（受信実績なしは全点がそうである場合のみ）。"
        "途絶：限度内に良好な測定値なし。要確認：最新値が良好でない。"
    ),
    "Points now": "計測点の現況",
    "Every point of the plant's roster with its age, also when nothing arrives. Quality 3: never any reading.": (
        "登録された全計測点とその経過時間（何も届かない間も表示）。品質 3 は受信実績なし。"
    ),
    "Quantity of each day": "日別の量",
    "Calc's quantity of each local day and point, in the unit that the legend names. A day without a bar was "
    "refused.": (
        "現地日ごと・計測点ごとの calc の量（単位は凡例）。棒のない日は算定不可です。"
    ),
    "Completeness of each day": "日別の完全率",
    "Slots with a good reading, of the slots expected, for each local day and point that a project binds.": (
        "プロジェクトに結び付く各計測点の現地日ごとの、期待スロットに対する良好な測定値の割合。"
    ),
    "Emissions of each day (draft)": "日別の排出量（暫定）",
    "Reference and project emissions and reductions of each local day, as drafts until the period is locked.": (
        "現地日ごとのリファレンス排出量、プロジェクト排出量、排出削減量。期間の確定までは暫定です。"
    ),
    "Readings by quality": "品質別の測定値数",
    "How many readings were good, uncertain and bad in each interval. Only good ones can become boundary registers.": (
        "間隔ごとの良好・不確か・不良の測定値数。境界値になれるのは良好な測定値だけです。"
    ),
    "Counters that do not move": "動かない積算値",
    "How long each counter has not changed, beside its age: unchanged with a small age is a counter that answers and "
    "stands still. Right for an idle plant, wrong for one that runs; compare with the plant's power.": (
        "各積算値が変化していない期間と経過時間。経過時間が短く変化がないものは、応答はあるが動いていない計器です。"
        "停止中なら正常、運転中なら異常：プラントの電力と比べてください。"
    ),
    "Age of each meter": "計器ごとの経過時間",
    "Age of each meter's freshest good reading, written every minute, also while nothing arrives.": (
        "各計器の最新の良好な測定値の経過時間。何も届かない間も毎分記録されます。"
    ),
    "Lateness of each edge": "エッジごとの遅延",
    "How long the newest leaf was under way: received minus cut. High after an outage, while the buffer empties.": (
        "最新リーフの伝送時間（作成から受信まで）。停止後、保存分を送る間は大きくなります。"
    ),
    "Leaves behind in the view": "ビューの未反映リーフ",
    "Leaves of each edge that are stored and not yet in the readings view.": (
        "エッジごとの、保存済みで測定値ビューに未反映のリーフ数。"
    ),
    "Edges now": "エッジの現況",
    "Every edge of the roster as it stands: state, age of its newest leaf, lateness, epochs that await approval.": (
        "登録された全エッジの現況：状態、最新リーフの経過時間、遅延、承認待ちのエポック。"
    ),
    "Refused leaves": "受入不可のリーフ",
    "Leaves, or parts of them, that could not become readings, and why; of all time, whatever range is chosen.": (
        "測定値にできなかったリーフまたはその一部と理由。選択期間によらず全期間を表示します。"
    ),
    "Days with incidents": "事象のある日",
    "Local days that a gap, reset, cap or the like touches, or whose quantity was refused.": (
        "欠測、リセット、上限適用などの事象がある、または算定不可となった現地日。"
    ),
}  # fmt: skip

JA: Mapping[str, str] = {**_STATES, **_NAMES, **_COLUMNS, **_PANELS}
