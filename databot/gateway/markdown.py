"""Replies as safe HTML for pages: Markdown by markdown-it-py, then cleaned by nh3.

The text is the model's and may carry anything. Raw HTML is shown as text, images are replaced by their alt text (a page
that loads them would send data out), links go only to http, https and mailto and name their host. Whatever the renderer
lets through, the cleaner allows only the tags and attributes named here.
"""

import asyncio
import html
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

INLINE_CHARS = 1_000
"""Longer texts are rendered in a thread."""
MAX_CHARS = 100_000
"""Longer texts are shown as they are: the worst of them takes 15 µs a character."""
TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "a", "span", "div"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
SCHEMES = {"http", "https", "mailto"}


async def to_html(text: str) -> str:
    """`render` without holding up the event loop."""
    if len(text) <= INLINE_CHARS:
        return render(text)
    return await asyncio.to_thread(render, text)


def render(text: str) -> str:
    """Markdown as HTML that is safe to put into a page."""
    if len(text) > MAX_CHARS:
        return f"<pre>{html.escape(text)}</pre>"
    import nh3

    return nh3.clean(
        _renderer().render(text),
        tags=TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        tag_attribute_values={
            "th": {"class": {"right", "center"}},
            "td": {"class": {"right", "center"}},
            "span": {"class": {"host", "no-image"}},
            "div": {"class": {"table"}},
        },
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=SCHEMES,
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )


@lru_cache(maxsize=1)
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_close", _link_close)
    parser.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("th_open", _cell)
    parser.add_render_rule("td_open", _cell)
    return parser


def _image(_: object, tokens: Any, index: int, *rest: object) -> str:  # noqa: ANN401, ARG001 - markdown-it's own
    """The alt text in place of an image: nothing is ever loaded."""
    return f'<span class="no-image">[image: {html.escape(tokens[index].content)}]</span>'


def _link_close(_: object, tokens: Any, index: int, *rest: object) -> str:  # noqa: ANN401, ARG001 - markdown-it's own
    """After a link, where it really goes, unless its text already says so."""
    opening = next(i for i in range(index - 1, -1, -1) if tokens[i].type == "link_open")
    parts = urlsplit(tokens[opening].attrs.get("href", ""))
    shown = "".join(token.content for token in tokens[opening + 1 : index])
    if parts.scheme not in {"http", "https"} or shown == tokens[opening].attrs.get("href"):
        return "</a>"
    # Without the user part: https://bank.example@evil.example goes to evil.example.
    host = parts.netloc.rpartition("@")[2]
    return f'</a> <span class="host">({html.escape(host)})</span>'


def _cell(_: object, tokens: Any, index: int, *rest: object) -> str:  # noqa: ANN401, ARG001 - markdown-it's own
    """A table cell whose alignment is a class: the page's policy allows no inline styles."""
    token = tokens[index]
    style = str(token.attrs.get("style", ""))
    side = next((side for side in ("right", "center") if side in style), "")
    return f'<{token.tag} class="{side}">' if side else f"<{token.tag}>"
