"""The demo company's data: a shop for coffee and tea gear, two years of it up to a given day.

Deterministic: the same day gives the same rows, because the only source of chance is a generator with a fixed seed.
Pure values; writing them to a database is `database.py`'s work.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from databot.app.company.names import (
    COUNTRIES,
    EMPLOYEES,
    FIRST_NAMES,
    LAST_NAMES,
    PRODUCTS,
    SUBJECTS,
)

SEED = 20_240_229
DAYS = 730
CUSTOMERS = 400
FIRST_ORDERS_A_DAY = 4.0
GROWTH_A_DAY = 0.008
SEASON = (0.85, 0.82, 0.92, 0.95, 0.97, 0.9, 0.82, 0.88, 1.0, 1.08, 1.35, 1.5)
WEEKDAY = (1.05, 1.0, 1.0, 1.02, 1.1, 0.95, 0.88)
OLD_STATUSES = (("completed", 86), ("cancelled", 7), ("refunded", 5), ("returned", 2))
NEW_STATUSES = (("pending", 30), ("processing", 30), ("shipped", 34), ("cancelled", 6))
SALES_CHANNELS = (("web", 62), ("app", 27), ("phone", 6), ("store", 5))
SEGMENTS = (("consumer", 70), ("small business", 22), ("enterprise", 8))
Row = tuple[object, ...]


@dataclass(slots=True)
class Company:
    """All rows, by table, in an order in which foreign keys hold."""

    customers: list[Row] = field(default_factory=list[Row])
    products: list[Row] = field(default_factory=list[Row])
    employees: list[Row] = field(default_factory=list[Row])
    orders: list[Row] = field(default_factory=list[Row])
    order_items: list[Row] = field(default_factory=list[Row])
    support_tickets: list[Row] = field(default_factory=list[Row])


def make_company(today: date) -> Company:
    """The company as a nightly load leaves it on the morning of `today`: orders on each of the 730 days before."""
    chance = random.Random(SEED)  # noqa: S311 - a reproducible demo, not a secret
    company = Company()
    first_day = today - timedelta(days=DAYS)
    company.products.extend(
        (n, name, category, price, int(n % 17 != 0))
        for n, (name, category, price) in enumerate(PRODUCTS, start=1)
    )
    company.employees.extend(
        (n, name, team, (first_day - timedelta(days=97 * n)).isoformat())
        for n, (name, team) in enumerate(EMPLOYEES, start=1)
    )
    company.customers.extend(customers(chance, first_day))
    add_orders(company, chance, first_day, today)
    company.support_tickets.extend(tickets(company, chance, today))
    return company


def customers(chance: random.Random, first_day: date) -> Iterator[Row]:
    """Two in five were there before the first day; the others sign up over the two years."""
    names, weights = zip(*COUNTRIES, strict=True)
    people = chance.sample([(a, b) for a in FIRST_NAMES for b in LAST_NAMES], CUSTOMERS)
    for n, (first, last) in enumerate(people, start=1):
        day = max(-200, int((n - CUSTOMERS * 0.4) / (CUSTOMERS * 0.6) * (DAYS - 10)))
        signed_up = first_day + timedelta(days=day)
        yield (
            n,
            f"{first} {last}",
            f"{first}.{last}@example.com".lower(),
            chance.choices(names, weights)[0],
            pick(chance, SEGMENTS),
            signed_up.isoformat(),
        )


def pick(chance: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    values, weights = zip(*weighted, strict=True)
    return str(chance.choices(values, weights)[0])


def add_orders(company: Company, chance: random.Random, first_day: date, today: date) -> None:
    """Every day has orders: more over the years, before Christmas and on Fridays."""
    signed_up = [date.fromisoformat(str(row[5])) for row in company.customers]
    loyalty = [chance.paretovariate(1.6) for _ in company.customers]
    for number in range(DAYS):
        day = first_day + timedelta(days=number)
        known = sum(1 for since in signed_up if since <= day)
        mean = (FIRST_ORDERS_A_DAY + GROWTH_A_DAY * number) * SEASON[day.month - 1]
        count = max(1, round(chance.gauss(mean * WEEKDAY[day.weekday()], 1.4)))
        times = sorted(chance.randint(7 * 3600, 22 * 3600) for _ in range(count))
        for second in times:
            buyer = chance.choices(range(1, known + 1), loyalty[:known])[0]
            moment = datetime.combine(day, time()) + timedelta(seconds=second)
            add_order(company, chance, buyer, moment, (today - day).days)


def add_order(
    company: Company, chance: random.Random, buyer: int, moment: datetime, age_days: int
) -> None:
    order = len(company.orders) + 1
    status = pick(chance, OLD_STATUSES if age_days > 5 else NEW_STATUSES)
    shipped = moment + timedelta(hours=chance.randint(8, 72))
    was_shipped = status in {"completed", "refunded", "returned", "shipped"}
    company.orders.append(
        (
            order,
            buyer,
            status,
            pick(chance, SALES_CHANNELS),
            moment.isoformat(sep=" "),
            shipped.isoformat(sep=" ") if was_shipped else None,
        )
    )
    business = company.customers[buyer - 1][4] != "consumer"
    for product in chance.sample(
        range(len(PRODUCTS)), chance.choices((1, 2, 3, 4), (42, 32, 18, 8))[0]
    ):
        price = PRODUCTS[product][2]
        discount = chance.choices((1.0, 0.9, 0.8), (85, 10, 5))[0]
        quantity = chance.choices((1, 2, 3, 5), (62, 24, 9, 5))[0] * (
            chance.randint(1, 4) if business else 1
        )
        company.order_items.append(
            (
                len(company.order_items) + 1,
                order,
                product + 1,
                quantity,
                round(price * discount, 2),
            )
        )


def tickets(company: Company, chance: random.Random, today: date) -> Iterator[Row]:
    """About one order in nine is asked about; the last days' tickets are still open."""
    agents = [row[0] for row in company.employees if row[2] == "support"]
    number = 0
    for order in company.orders:
        if chance.random() > (0.45 if order[2] in {"refunded", "returned"} else 0.09):
            continue
        number += 1
        opened = datetime.fromisoformat(str(order[4])) + timedelta(hours=chance.randint(2, 40))
        opened = min(opened, datetime.combine(today, time()) - timedelta(minutes=30))
        closed = opened + timedelta(hours=chance.lognormvariate(2.8, 0.9))
        is_open = closed.date() >= today
        subject, priority = chance.choice(SUBJECTS)
        yield (
            number,
            order[1],
            order[0],
            chance.choice(agents),
            subject,
            priority,
            "open" if is_open else "closed",
            opened.isoformat(sep=" ", timespec="seconds"),
            None if is_open else closed.isoformat(sep=" ", timespec="seconds"),
        )
