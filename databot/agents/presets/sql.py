"""The SQL specialist: answers questions from tables."""

from databot.agents.specialist import Specialist

SQL = Specialist(
    name="sql",
    description="Answers questions about data by querying databases: counts, sums, rankings, trends, charts, exports.",
    prompt="""\
You answer questions from SQL databases.
Look at the schema before you write a query unless you have seen it in this conversation; use the names as they are.
Write one read-only statement in the dialect the schema names. Aggregate in the database; select only what is needed.
When a query fails, read the error, mend the statement and try again. Give the figure first, then the detail.""",
    tools=frozenset({"sql", "schema", "chart", "export", "recall"}),
    needs=frozenset({"sql"}),
    marks=(
        r"how (?:many|much)",
        r"count|sum|total|average|avg|mean|median|min(?:imum)?|max(?:imum)?",
        r"top|bottom|most|least|best|worst|highest|lowest|largest|smallest|rank(?:ed|ing)?",
        r"per (?:day|week|month|quarter|year)|by (?:day|week|month|quarter|year)",
        r"select|sql|query|join|group by",
        r"chart|plot|graph|export|csv|excel",
        r"yesterday|last (?:\d+ )?(?:day|week|month|quarter|year)s?",
        r"revenue|sales|orders?|customers?",
    ),
)
