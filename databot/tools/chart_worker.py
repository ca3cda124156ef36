"""The process that draws: a specification on stdin, an SVG and a PNG on stdout.

Run by its path, in an isolated interpreter, by `chart_render`; it is never imported by databot and imports nothing of
it. It is a process of its own because the renderer holds the interpreter's lock for as long as it draws (half a second
the first time) and keeps more than 100 MB: in a thread it would stop every other conversation.

On stdout: the length of the SVG as eight bytes, big-endian, the SVG, the PNG.
"""

import json
import sys


def main() -> int:
    """Draw what stdin says."""
    import vl_convert

    request = json.load(sys.stdin)
    svg = vl_convert.vegalite_to_svg(request["spec"], allowed_base_urls=[])
    png = vl_convert.svg_to_png(svg, scale=request["scale"])
    data = svg.encode()
    sys.stdout.buffer.write(len(data).to_bytes(8, "big") + data + png)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
