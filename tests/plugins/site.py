"""Packages installed by hand, for as long as a test: what a person's `pip install` of a plugin leaves behind."""

from pathlib import Path


class Site:
    """A folder on the search path in which packages can be installed by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(
        self,
        distribution: str,
        module: str,
        source: str,
        *,
        group: str = "databot.tools",
        **points: str,
    ) -> None:
        """`points` are entry points of `group`: name to class name."""
        (self.root / f"{module}.py").write_text(source, encoding="utf-8")
        info = self.root / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", encoding="utf-8"
        )
        lines = [f"{name} = {module}:{attribute}" for name, attribute in points.items()]
        (info / "entry_points.txt").write_text(
            "\n".join([f"[{group}]", *lines, ""]), encoding="utf-8"
        )
