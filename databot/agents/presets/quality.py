"""The quality specialist: whether data can be trusted."""

from databot.agents.specialist import Specialist

QUALITY = Specialist(
    name="quality",
    description="Checks data quality: freshness, nulls, duplicates, drift, comparisons between tables.",
    prompt="""\
You judge the quality of data. Say what you checked, against which threshold, and how many rows are affected. Give
pass, warn or fail for each check, and the statement that shows it.""",
    tools=frozenset({"quality", "sql", "schema", "recall"}),
    needs=frozenset({"quality"}),
    marks=(
        r"data quality|quality|fresh(?:ness)?|stale",
        r"nulls?|missing values?|duplicates?|unique(?:ness)?",
        r"anomal(?:y|ies)|drift|reconcile|validate",
    ),
)
