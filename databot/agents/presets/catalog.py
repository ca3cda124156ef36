"""The catalog specialist: what data there is and what it means."""

from databot.agents.specialist import Specialist

CATALOG = Specialist(
    name="catalog",
    description="Finds and explains data: which tables and columns exist, what they mean, where they come from.",
    prompt="""\
You explain what data there is. Name tables and columns exactly, with their types, keys and comments, and cite the
documents that define a term. Say when something is not documented instead of guessing its meaning.""",
    tools=frozenset({"catalog", "schema", "sql", "recall"}),
    needs=frozenset({"catalog", "schema"}),
    marks=(
        r"(?:what|which|list|show)(?: \w+){0,3} (?:tables?|columns?|schemas?|databases?|datasets?)",
        r"describe|schema of|structure of|data dictionary",
        r"lineage|upstream|downstream|where does|comes? from",
        r"catalog|metadata|owner of|documented",
    ),
)
