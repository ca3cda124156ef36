from hypothesis import given
from hypothesis import strategies as st

from databot.types.backoff import backoff_s

CHANCE = st.floats(min_value=0, max_value=1)
BASE_S, CAP_S = 5.0, 600.0


@given(st.integers(min_value=1, max_value=10**9), CHANCE)
def test_a_wait_is_never_negative_and_never_over_the_cap(tries: int, chance: float) -> None:
    assert 0 <= backoff_s(tries, chance, base_s=BASE_S, cap_s=CAP_S) <= CAP_S


@given(st.integers(min_value=1, max_value=6), CHANCE)
def test_before_the_cap_the_bound_doubles_each_time(tries: int, chance: float) -> None:
    wait = backoff_s(tries, chance, base_s=BASE_S, cap_s=CAP_S)
    assert wait == BASE_S * 2 ** (tries - 1) * chance


@given(st.integers(min_value=1, max_value=10**6), CHANCE, st.floats(0.1, 50), st.floats(50, 5000))
def test_by_the_same_chance_a_later_try_never_waits_shorter(
    tries: int, chance: float, base_s: float, cap_s: float
) -> None:
    def wait(number: int) -> float:
        return backoff_s(number, chance, base_s=base_s, cap_s=cap_s)

    assert wait(tries) <= wait(tries + 1) <= cap_s


@given(st.integers(min_value=1, max_value=50), CHANCE)
def test_a_wait_with_a_least_part_is_never_shorter_than_that(tries: int, chance: float) -> None:
    bound = backoff_s(tries, 1.0, base_s=BASE_S, cap_s=CAP_S)
    assert backoff_s(tries, chance, base_s=BASE_S, cap_s=CAP_S, least=0.5) >= bound / 2
