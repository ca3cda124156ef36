from hypothesis import given
from hypothesis import strategies as st

from databot.jobs.backoff import BASE_S, CAP_S, backoff_s

CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.integers(min_value=1, max_value=10**9), CHANCE)
def test_a_wait_is_never_negative_and_never_over_the_cap(attempt: int, chance: float) -> None:
    assert 0 <= backoff_s(attempt, lambda: chance) <= CAP_S


@given(st.integers(min_value=1, max_value=6), CHANCE)
def test_before_the_cap_the_bound_doubles_each_time(attempt: int, chance: float) -> None:
    assert backoff_s(attempt, lambda: chance) == chance * BASE_S * 2 ** (attempt - 1)


@given(st.integers(min_value=1, max_value=10**6), CHANCE, st.floats(0.1, 50), st.floats(50, 5000))
def test_by_the_same_chance_a_later_attempt_never_waits_shorter(
    attempt: int, chance: float, base_s: float, cap_s: float
) -> None:
    def wait(number: int) -> float:
        return backoff_s(number, lambda: chance, base_s=base_s, cap_s=cap_s)

    assert wait(attempt) <= wait(attempt + 1) <= cap_s
