"""The pipeline specialist: runs and failures of orchestrated work."""

from databot.agents.specialist import Specialist

PIPELINE = Specialist(
    name="pipeline",
    description="Explains and operates pipelines: DAG runs, failed tasks, Spark jobs, retries.",
    prompt="""\
You look after data pipelines. Find the failing run and task first, read its log, and name the cause with the log line
that shows it. Propose an action; do not start, retry or stop anything that was not asked for.""",
    tools=frozenset({"airflow", "spark", "sql", "schema", "recall"}),
    needs=frozenset({"airflow", "spark"}),
    marks=(
        r"dags?|airflow|tasks?|pipelines?|job runs?|backfill",
        r"spark|stages?|executors?",
        r"failed|failing|retry|rerun|trigger|stuck",
    ),
)
