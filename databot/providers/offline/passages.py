"""Passages: what retrieval put into the prompt, quoted as it stands.

The offline analyst writes no prose of its own about documents: it shows the best passage and names its source.
"""

import html
import re
from collections.abc import Sequence

from databot.providers.offline.choice import telling_words
from databot.providers.offline.reading import Reading
from databot.providers.offline.words import name_words
from databot.types.errors import shorten

_PASSAGE = re.compile(
    r'<passage marker="(?P<marker>[^"]*)" title="(?P<title>[^"]*)" source="(?P<source>[^"]*)">\s*(?P<body>.*?)\s*</passage>',
    re.DOTALL,
)
QUOTE_CHARACTERS = 900


LEAST_SHARED = 0.5
"""The part of a message's telling words that a document must have for it to be about them."""


def quoted_passage(reference: str, text: str, reading: Reading, connectors: Sequence[str]) -> str:
    """The first passage of a document about the message, with its marker; empty when there is none.

    A message that names a table or a column is about data, and gets none. Passages that describe tables are not
    documents: their source begins with a connector's name.
    """
    words = {part for word in telling_words(text) for part in name_words(word)}
    if reading.nouns or not words:
        return ""
    for match in _PASSAGE.finditer(reference):
        source = html.unescape(match["source"])
        if any(source.startswith(f"{name}/") for name in connectors):
            continue
        title, body = html.unescape(match["title"]), html.unescape(match["body"]).strip()
        if len(words & set(name_words(f"{title} {body}"))) < LEAST_SHARED * len(words):
            continue
        lines = "\n".join(f"> {line}" for line in shorten(body, QUOTE_CHARACTERS).splitlines())
        return f"A document says, in {title} {match['marker']}:\n\n{lines}"
    return ""
