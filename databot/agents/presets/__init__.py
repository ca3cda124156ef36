"""The six specialists databot comes with."""

from databot.agents.presets.catalog import CATALOG
from databot.agents.presets.general import GENERAL
from databot.agents.presets.pipeline import PIPELINE
from databot.agents.presets.quality import QUALITY
from databot.agents.presets.sql import SQL
from databot.agents.presets.streaming import STREAMING

PRESETS = (SQL, PIPELINE, QUALITY, CATALOG, STREAMING, GENERAL)
"""In the order the router considers them; the last one answers what no other claims."""

__all__ = ["CATALOG", "GENERAL", "PIPELINE", "PRESETS", "QUALITY", "SQL", "STREAMING"]
