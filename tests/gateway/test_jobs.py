"""Background work over HTTP: for operators, and each tenant's own."""

from dataclasses import replace

import pytest

from databot.gateway.base import GatewayServices
from databot.gateway.options import ApiKeyOptions
from databot.jobs.base import NewJob
from databot.jobs.desk import WorkDesk
from databot.testing.memory_jobs import MemoryJobs
from tests.gateway.conftest import Serve, Served, bearer
from tests.gateway.house import House
from tests.jobs.test_desk import Given

KEYS = tuple(
    ApiKeyOptions(
        secret=f"secret-of-{name}-0123456789", tenant_id=tenant, name=name, roles=frozenset({name})
    )
    for name, tenant in (("operator", "acme"), ("api", "acme"), ("admin", "default"))
)
OPERATOR, ASKER, STRANGER = (bearer(key.secret) for key in KEYS)


class WorkingHouse(House):
    """A house with jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs = MemoryJobs()

    def services(self) -> GatewayServices:
        return replace(super().services(), desk=WorkDesk(self.jobs, Given()))


@pytest.fixture
def house() -> WorkingHouse:
    return WorkingHouse()


@pytest.fixture
async def working(serve: Serve, house: WorkingHouse) -> Served:
    return await serve(house, api_keys=KEYS)


async def dead_job(house: WorkingHouse) -> str:
    await house.jobs.enqueue(NewJob(kind="count", tenant_id="acme"))
    job = await house.jobs.claim(["count"], "ada")
    assert job is not None
    await house.jobs.fail(job, "the warehouse is away", "dead")
    return job.id


async def test_an_operator_sees_the_jobs_of_its_tenant(
    working: Served, house: WorkingHouse
) -> None:
    job_id = await dead_job(house)
    await house.jobs.enqueue(NewJob(kind="count", tenant_id="default"))
    (job,) = (await working.call("GET", "/api/v1/jobs", headers=OPERATOR)).json["jobs"]
    assert (job["id"], job["kind"], job["state"]) == (job_id, "count", "dead")
    assert (job["attempts"], job["error"]) == (1, "the warehouse is away")
    for query, count in (("state=dead", 1), ("state=done", 0), ("limit=1", 1)):
        answer = await working.call("GET", f"/api/v1/jobs?{query}", headers=OPERATOR)
        assert len(answer.json["jobs"]) == count


async def test_a_dead_job_is_retried_and_a_queued_one_cancelled(
    working: Served, house: WorkingHouse
) -> None:
    job_id = await dead_job(house)
    path = f"/api/v1/jobs/{job_id}"
    asked = await working.call("POST", f"{path}/retry", headers=OPERATOR)
    assert (asked.status, asked.json) == (202, {"id": job_id, "state": "queued"})
    assert (await working.call("POST", f"{path}/retry", headers=OPERATOR)).status == 409
    assert (await working.call("POST", f"{path}/cancel", headers=OPERATOR)).status == 202
    assert (await working.call("POST", f"{path}/retry", headers=OPERATOR)).status == 409


async def test_another_tenants_job_looks_like_none(working: Served, house: WorkingHouse) -> None:
    job_id = await dead_job(house)
    for action in ("retry", "cancel"):
        theirs = await working.call("POST", f"/api/v1/jobs/{job_id}/{action}", headers=STRANGER)
        none = await working.call("POST", f"/api/v1/jobs/job_x/{action}", headers=STRANGER)
        assert (theirs.status, none.status) == (404, 404)
    assert (await working.call("GET", "/api/v1/jobs", headers=STRANGER)).json == {"jobs": []}


async def test_a_key_that_only_asks_questions_may_not_look_or_touch(
    working: Served, house: WorkingHouse
) -> None:
    job_id = await dead_job(house)
    for method, path in (
        ("GET", "/api/v1/jobs"),
        ("POST", f"/api/v1/jobs/{job_id}/retry"),
        ("POST", f"/api/v1/jobs/{job_id}/cancel"),
    ):
        assert (await working.call(method, path, headers=ASKER)).status == 403
        assert (await working.call(method, path)).status == 401


@pytest.mark.parametrize("query", ["state=odd", "limit=0", "limit=201", "limit=x"])
async def test_a_question_that_makes_no_sense_is_refused(working: Served, query: str) -> None:
    answer = await working.call("GET", f"/api/v1/jobs?{query}", headers=OPERATOR)
    assert answer.status == 400


async def test_a_house_without_background_work_has_no_routes_for_it(served: Served) -> None:
    assert (await served.call("GET", "/api/v1/jobs")).status == 404
