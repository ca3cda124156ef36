"""Cuts Markdown that is still growing into what is finished and what may yet change. Pure."""

FENCES = ("```", "~~~")


def split_finished(text: str) -> tuple[str, str]:
    """The text up to the last blank line outside a code fence, and the rest.

    What comes before such a line can be drawn for good: nothing that follows changes how it looks.
    """
    fence, cut, position = "", 0, 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        stripped = line.strip()
        mark = stripped[:3] if stripped.startswith(FENCES) else ""
        if mark and (not fence or mark == fence):
            fence = "" if fence else mark
        if not stripped and not fence and line.endswith("\n"):
            cut = position
    return text[:cut], text[cut:]
