from __future__ import annotations

import pytest

from hakari.wire.configuration import ConfigurationMalformed, parse
from hakari.wire.leaf import MAX_SHOWN_CHARS, LeafMalformed, decode

BODY = '{"' + "a" * 50_000 + '":1}'


def test_the_sentence_stays_short() -> None:
    with pytest.raises(LeafMalformed, match="unknown field") as of_leaf:
        decode(BODY.encode())
    with pytest.raises(ConfigurationMalformed, match="unknown field") as of_configuration:
        parse(BODY)
    assert max(len(str(of_leaf.value)), len(str(of_configuration.value))) < MAX_SHOWN_CHARS + 100
