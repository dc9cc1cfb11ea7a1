"""Every kind of problem that the API answers with: its status, and its page in English and Japanese."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """One language's title, cause and remedy."""

    title: str
    cause: str
    remedy: str


class ProblemType(NamedTuple):
    """One kind of problem; its code is its key in TYPES and the end of its address `/problems/{code}`."""

    status: int
    en: Words
    ja: Words


TYPES: dict[str, ProblemType] = {
    "bad-request": ProblemType(
        400,
        Words("Request not understood", "The request is not valid HTTP for this API.", "Compare it with /docs."),
        Words("要求を理解できません", "この API の要求として正しくありません。", "/docs と比べてください。"),
    ),
    "unknown-parameter": ProblemType(
        400,
        Words(
            "Unknown or repeated query parameter",
            "A query parameter is not known here, or is given twice. Nothing is ignored silently.",
            "Use the names listed in /docs, each once.",
        ),
        Words(
            "不明または重複したクエリパラメータ",
            "クエリパラメータがここでは知られていないか、二度指定されています。",
            "/docs にある名前を一度ずつ使ってください。",
        ),
    ),
    "page-too-large": ProblemType(
        400,
        Words(
            "Page too large", "The limit is above what one page holds.", "Ask for at most 1000 and follow `next_url`."
        ),
        Words("ページが大きすぎます", "limit が上限を超えています。", "1000 以下にして next_url をたどってください。"),
    ),
    "token-invalid": ProblemType(
        401,
        Words(
            "Token missing or not valid",
            "The request has no bearer token, or one that is unknown, expired or revoked.",
            "Send `Authorization: Bearer hk_…`; an operator makes tokens with `hakari user token create`.",
        ),
        Words(
            "トークンがないか無効です",
            "ベアラートークンがないか、不明・期限切れ・失効しています。",
            "`Authorization: Bearer hk_…` を送ってください。トークンは `hakari user token create` で作成します。",
        ),
    ),
    "not-found": ProblemType(
        404,
        Words(
            "Not found",
            "There is nothing at this address, or nothing that this token may see; the two look alike on purpose.",
            "Start at /v1/projects, which lists what the token may see.",
        ),
        Words(
            "見つかりません",
            "このアドレスには何もないか、このトークンで見られるものがありません。",
            "トークンで見られるものは /v1/projects にあります。",
        ),
    ),
    "method-not-allowed": ProblemType(
        405,
        Words("Method not allowed", "This address is read with GET and takes no other method.", "Use GET."),
        Words("使えないメソッドです", "このアドレスは GET だけを受け付けます。", "GET を使ってください。"),
    ),
    "not-acceptable": ProblemType(
        406,
        Words(
            "No such representation",
            "The Accept header rules out what this address has.",
            "Leave the header out, or accept the type that /docs names.",
        ),
        Words(
            "その形式では返せません",
            "Accept ヘッダーがこのアドレスの形式を除外しています。",
            "ヘッダーを外すか、/docs にある形式を指定してください。",
        ),
    ),
    "key-missing": ProblemType(
        400,
        Words(
            "Idempotency-Key missing",
            "A request that changes something has no Idempotency-Key header, or one that cannot be one.",
            "Send a fresh random key of 16 to 100 letters, digits and hyphens, and the same key when you repeat it.",
        ),
        Words(
            "Idempotency-Key がありません",
            "変更を伴う要求に Idempotency-Key ヘッダーがないか、正しくありません。",
            "英数字とハイフン 16〜100 文字の新しいキーを送り、再送時は同じキーを使ってください。",
        ),
    ),
    "key-reused": ProblemType(
        422,
        Words(
            "Idempotency-Key used before",
            "The same key came before with another request.",
            "Use a new key for a new request.",
        ),
        Words(
            "Idempotency-Key が再利用されています",
            "同じキーが別の要求で使われています。",
            "新しい要求には新しいキーを使ってください。",
        ),
    ),
    "media-type": ProblemType(
        415,
        Words("Not JSON", "The body is not declared as application/json.", "Send JSON with its Content-Type."),
        Words("JSON ではありません", "本文の型が application/json ではありません。", "JSON を送ってください。"),
    ),
    "decided-elsewhere": ProblemType(
        403,
        Words(
            "Decided elsewhere",
            "This server shows the quarantine and takes no decisions.",
            "Say `hakari quarantine release` or `discard` beside ingest, or set [api].quarantine_decisions.",
        ),
        Words(
            "ここでは決定できません",
            "このサーバーは隔離されたメッセージを表示するだけです。",
            "ingest の側で `hakari quarantine release` か `discard` を実行してください。",
        ),
    ),
    "body-too-large": ProblemType(
        413,
        Words("Body too large", "The request has a body above the limit.", "Send none: this API is read with GET."),
        Words("本文が大きすぎます", "要求の本文が上限を超えています。", "本文を付けずに GET を使ってください。"),
    ),
    "invalid-value": ProblemType(
        422,
        Words(
            "Value not valid",
            "A parameter is missing, of another type, or outside its limits; `errors` names each of them.",
            "Correct the values that `errors` names.",
        ),
        Words(
            "値が正しくありません",
            "パラメータがないか、型または範囲が違います。errors に一つずつ示します。",
            "errors に示された値を直してください。",
        ),
    ),
    "time-without-offset": ProblemType(
        422,
        Words(
            "Time without offset",
            "A time has no offset from UTC, so that it could be several instants.",
            "Write 2016-07-01T00:00:00Z or 2016-07-01T00:00:00+07:00; in a query the plus sign is written %2B.",
        ),
        Words(
            "時刻に UTC との差がありません",
            "時刻に UTC オフセットがないため、瞬間が一つに決まりません。",
            "2016-07-01T00:00:00Z または 2016-07-01T00:00:00+07:00 と書き、クエリでは + を %2B とします。",
        ),
    ),
    "evidence-mismatch": ProblemType(
        500,
        Words(
            "Stored data is not what it claims to be",
            "What is stored does not give the hash kept with it, cannot be read, or is called locked without a signed"
            " statement that names it. It is not shown.",
            "Tell the operator; `hakari log fsck` looks at the evidence log.",
        ),
        Words(
            "保存データが一致しません",
            "保存された内容がハッシュと一致しないか、読めないか、確定とされながらそれを示す署名済みステートメントがありません。"
            "表示しません。",
            "運用者に知らせてください。`hakari log fsck` で証拠ログを確認できます。",
        ),
    ),
    "internal": ProblemType(
        500,
        Words(
            "Our own fault", "The server failed; its log has the details under the trace id.", "Report the trace id."
        ),
        Words("サーバー側の誤りです", "詳細はトレース番号とともにログにあります。", "トレース番号を知らせてください。"),
    ),
    "unavailable": ProblemType(
        503,
        Words(
            "A store does not answer", "A database is missing, busy or failing.", "Ask again later; /readyz says which."
        ),
        Words(
            "データベースが応答しません",
            "データベースがないか、使用中か、故障しています。",
            "後でもう一度試してください。/readyz で確認できます。",
        ),
    ),
}

BY_STATUS = {
    401: "token-invalid",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "body-too-large",
    422: "invalid-value",
    503: "unavailable",
}
