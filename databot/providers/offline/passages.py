"""Passages: what retrieval put into the prompt, quoted as it stands.

The offline analyst writes no prose of its own about documents: it shows the best passage and names its source.
"""

import html
import re
from collections.abc import Sequence

from databot.types.errors import shorten

_PASSAGE = re.compile(
    r'<passage marker="(?P<marker>[^"]*)" title="(?P<title>[^"]*)" source="(?P<source>[^"]*)">\s*(?P<body>.*?)\s*</passage>',
    re.DOTALL,
)
QUOTE_CHARACTERS = 900


def quoted_passage(reference: str, connectors: Sequence[str]) -> str:
    """The first passage of a document as a quotation with its marker; empty when there is none.

    Passages that describe tables are not documents: their source begins with a connector's name.
    """
    for match in _PASSAGE.finditer(reference):
        source = html.unescape(match["source"])
        if any(source.startswith(f"{name}/") for name in connectors):
            continue
        body = shorten(html.unescape(match["body"]).strip(), QUOTE_CHARACTERS)
        lines = "\n".join(f"> {line}" for line in body.splitlines())
        title = html.unescape(match["title"])
        return f"This is no question about tables for me, but a document says, in {title} {match['marker']}:\n\n{lines}"
    return ""
