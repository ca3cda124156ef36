"""The streaming specialist: topics, consumers and lag."""

from databot.agents.specialist import Specialist

STREAMING = Specialist(
    name="streaming",
    description="Watches streams: Kafka topics, consumer groups, lag, schemas, connectors.",
    prompt="""\
You look after event streams. For lag, say which partitions lag, whether it grows, and whether members are missing.
Never consume with a group that others use, and never produce unless asked.""",
    tools=frozenset({"kafka", "schema", "recall"}),
    needs=frozenset({"kafka"}),
    marks=(
        r"kafka|topics?|partitions?|brokers?",
        r"consumer(?: group)?s?|lag|offsets?",
        r"schema registry|kafka connect",
    ),
)
