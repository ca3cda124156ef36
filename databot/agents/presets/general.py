"""The general agent: answers what no specialist claims."""

from databot.agents.specialist import EVERYTHING, Specialist

GENERAL = Specialist(
    name="general",
    description="Answers everything else, and questions that need several kinds of tools.",
    prompt="""\
You are the first person a data team asks. Use whichever tools the question needs; when none is needed, just answer.""",
    tools=frozenset({EVERYTHING}),
)
