"""A shop on SQLite with declared foreign keys: every expected figure is computed from the rows in Python."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import Row, World

Rows = dict[str, list[Row]]


def by_id(rows: Rows, name: str) -> dict[int, Row]:
    return {row["id"]: row for row in rows[name]}


def orders_of(rows: Rows, **values: object) -> list[Row]:
    """Orders joined to their customer, filtered by equal values."""
    customers = by_id(rows, "customers")
    joined = [
        {**order, **{k: customers[order["customer_id"]][k] for k in ("country", "city")}}
        for order in rows["orders"]
    ]
    return [one for one in joined if all(one[key] == value for key, value in values.items())]


def lines_of(rows: Rows) -> list[Row]:
    """Order lines with all they hang on, and their amount."""
    orders = {one["id"]: one for one in orders_of(rows)}
    products, categories = by_id(rows, "products"), by_id(rows, "categories")
    customers = by_id(rows, "customers")
    return [
        {
            "amount": item["quantity"] * item["unit_price"],
            "quantity": item["quantity"],
            "product": products[item["product_id"]]["name"],
            "category": categories[products[item["product_id"]]["category_id"]]["name"],
            "customer": customers[orders[item["order_id"]]["customer_id"]]["name"],
            **{k: orders[item["order_id"]][k] for k in ("country", "status", "ordered_at")},
            "order": item["order_id"],
        }
        for item in rows["order_items"]
    ]


def totals(lines: list[Row], key: str, value: str = "amount") -> list[tuple[str, float]]:
    sums: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        sums[line[key]] += line[value]
    return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))


def today() -> date:
    return datetime.now(UTC).date()


def ordered_between(rows: Rows, start: date, end: date) -> int:
    return sum(
        start.isoformat() <= one["ordered_at"][:10] < end.isoformat() for one in rows["orders"]
    )


def last_month() -> tuple[date, date]:
    end = today().replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def money(value: float) -> str:
    return f"{value:,.2f}"


COUNTS: list[tuple[str, Callable[[Rows], int]]] = [
    ("How many orders are there?", lambda r: len(r["orders"])),
    ("number of customers", lambda r: len(r["customers"])),
    ("count the products please", lambda r: len(r["products"])),
    ("how many clients do we have", lambda r: len(r["customers"])),
    ("How many orders are cancelled?", lambda r: len(orders_of(r, status="cancelled"))),
    ("how many canceled orders", lambda r: len(orders_of(r, status="cancelled"))),
    ("how many orders are in progress?", lambda r: len(orders_of(r, status="in_progress"))),
    ("how many orders are not cancelled?", lambda r: len(r["orders"]) - len(orders_of(r, status="cancelled"))),
    ("how many orders are shipped or pending", lambda r: len(orders_of(r, status="shipped")) + len(orders_of(r, status="pending"))),
    ("how many customers are in the United States?", lambda r: sum(c["country"] == "United States" for c in r["customers"])),
    ("how many customers in germany", lambda r: sum(c["country"] == "Germany" for c in r["customers"])),
    ("how many orders from Germany", lambda r: len(orders_of(r, country="Germany"))),
    ("how many cancelled orders from France", lambda r: len(orders_of(r, country="France", status="cancelled"))),
    ("how many orders came from Germany and France", lambda r: len(orders_of(r, country="Germany")) + len(orders_of(r, country="France"))),
    ("how many active customers", lambda r: sum(c["is_active"] for c in r["customers"])),
    ("how many customers are not active", lambda r: sum(not c["is_active"] for c in r["customers"])),
    ("how many inactive customers", lambda r: sum(not c["is_active"] for c in r["customers"])),
    ("how many products cost more than 100?", lambda r: sum(p["price"] > 100 for p in r["products"])),
    ("how many products with a price between 50 and 100", lambda r: sum(50 <= p["price"] <= 100 for p in r["products"])),
    ("how many customers have no orders?", lambda r: len({c["id"] for c in r["customers"]} - {o["customer_id"] for o in r["orders"]})),
    ("how many customers have orders?", lambda r: len({o["customer_id"] for o in r["orders"]})),
    ("how many products were never sold", lambda r: len({p["id"] for p in r["products"]} - {i["product_id"] for i in r["order_items"]})),
    ("how many countries are there", lambda r: len({c["country"] for c in r["customers"]})),
    ("how many different statuses", lambda r: len({o["status"] for o in r["orders"]})),
    ("how many orders yesterday", lambda r: ordered_between(r, today() - timedelta(days=1), today())),
    ("how many orders were placed today?", lambda r: ordered_between(r, today(), today() + timedelta(days=1))),
    ("how many orders in the last 7 days", lambda r: ordered_between(r, today() - timedelta(days=7), today() + timedelta(days=1))),
    ("how many orders last month", lambda r: ordered_between(r, *last_month())),
    ("how many orders this year?", lambda r: ordered_between(r, today().replace(month=1, day=1), date(today().year + 1, 1, 1))),
    ("how many orders last year?", lambda r: ordered_between(r, date(today().year - 1, 1, 1), date(today().year, 1, 1))),
    ("how many ordres", lambda r: len(r["orders"])),
    ("nubmer of costumers", lambda r: len(r["customers"])),
    ('how many "order_items"', lambda r: len(r["order_items"])),
    ("how many order items", lambda r: len(r["order_items"])),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), COUNTS, ids=[q for q, _ in COUNTS])
async def test_counts_are_those_of_the_rows(
    shop_world: World, question: str, expected: Callable[[Rows], int]
) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(question)
    assert figure(answer) == f"{expected(shop_world.rows):,}"


async def test_a_year_is_counted_from_its_first_to_its_last_day(shop_world: World) -> None:
    year = today().year - 1
    answer = await Talk(sources=[shop_world.source]).ask(f"how many orders in {year}?")
    expected = sum(o["ordered_at"].startswith(str(year)) for o in shop_world.rows["orders"])
    assert figure(answer) == str(expected)


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("since {0}", 0, None),
        ("before {0}", None, 0),
        ("after {0}", 1, None),
        ("until {0}", None, 1),
        ("on {0}", 0, 1),
        ("between {0} and {1}", 0, 31),
        ("from {0} to {1}", 0, 31),
    ],
)
async def test_dates_bound_what_is_counted(
    shop_world: World, words: str, start: int | None, end: int | None
) -> None:
    day = today() - timedelta(days=200)
    question = words.format(day.isoformat(), (day + timedelta(days=30)).isoformat())
    low = day + timedelta(days=start) if start is not None else date.min
    high = day + timedelta(days=end) if end is not None else date.max
    answer = await Talk(sources=[shop_world.source]).ask(f"how many orders {question}")
    assert figure(answer) == f"{ordered_between(shop_world.rows, low, high):,}"


RANKINGS: list[tuple[str, str, str, int]] = [
    ("top 5 customers by revenue", "customer", "amount", 5),
    ("Top 3 customers by sales", "customer", "amount", 3),
    ("the 5 best customers", "customer", "amount", 5),
    ("customers who spent the most", "customer", "amount", 10),
    ("top 4 products by revenue", "product", "amount", 4),
    ("best selling products", "product", "quantity", 10),
    ("top 3 best selling products", "product", "quantity", 3),
    ("top 2 countries by revenue", "country", "amount", 2),
    ("which category has the highest revenue", "category", "amount", 1),
    ("which customer spent the most?", "customer", "amount", 1),
    ("top 5 costumers by revnue", "customer", "amount", 5),
]


@pytest.mark.parametrize(
    ("question", "key", "value", "limit"), RANKINGS, ids=[case[0] for case in RANKINGS]
)
async def test_rankings_join_as_far_as_they_must(
    shop_world: World, question: str, key: str, value: str, limit: int
) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(question)
    expected = totals(lines_of(shop_world.rows), key, value)[:limit]
    shown = [f"{v:,.0f}" if value == "quantity" else money(v) for _, v in expected]
    assert answer.startswith(f"**{expected[0][0]}** has the highest")
    assert figure(answer) == shown[0]
    if limit > 1:
        assert column(answer, 1) == shown
    assert "unit_price" in answer or value == "quantity"  # the definition is told


async def test_the_lowest_come_first_when_asked_for(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("bottom 3 products by revenue")
    expected = sorted(totals(lines_of(shop_world.rows), "product"), key=lambda pair: pair[1])[:3]
    assert column(answer, 1) == [money(value) for _, value in expected]


GROUPS: list[tuple[str, Callable[[Rows], dict[str, str]]]] = [
    ("orders by status", lambda r: {k: str(v) for k, v in Counter(o["status"] for o in r["orders"]).items()}),
    ("number of orders per country", lambda r: {k: str(v) for k, v in Counter(o["country"] for o in orders_of(r)).items()}),
    ("how many customers in each city?", lambda r: {k: str(v) for k, v in Counter(c["city"] for c in r["customers"]).items()}),
    ("revenue by product category", lambda r: {k: money(v) for k, v in totals(lines_of(r), "category")}),
    ("revenue by country", lambda r: {k: money(v) for k, v in totals(lines_of(r), "country")}),
    ("total quantity by category", lambda r: {k: f"{v:,.0f}" for k, v in totals(lines_of(r), "category", "quantity")}),
    ("average order value by country", lambda r: {k: money(v / len({x["order"] for x in lines_of(r) if x["country"] == k})) for k, v in totals(lines_of(r), "country")}),
    ("products by category", lambda r: {by_id(r, "categories")[k]["name"]: str(v) for k, v in Counter(p["category_id"] for p in r["products"]).items()}),
    ("max price by category", lambda r: {c["name"]: money(max(p["price"] for p in r["products"] if p["category_id"] == c["id"])) for c in r["categories"]}),
    ("average price by category", lambda r: {c["name"]: money(sum(x) / len(x)) for c in r["categories"] if (x := [p["price"] for p in r["products"] if p["category_id"] == c["id"]])}),
    ("cancelled orders by country", lambda r: {k: str(v) for k, v in Counter(o["country"] for o in orders_of(r, status="cancelled")).items()}),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), GROUPS, ids=[q for q, _ in GROUPS])
async def test_groups_hold_every_row_once(
    shop_world: World, question: str, expected: Callable[[Rows], dict[str, str]]
) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(question)
    assert {row[0]: row[1] for row in table(answer)} == expected(shop_world.rows)


GRAINS: list[tuple[str, Callable[[str], str]]] = [
    ("orders per month", lambda day: day[:7]),
    ("monthly orders", lambda day: day[:7]),
    ("orders by year", lambda day: day[:4]),
    ("how many orders per quarter", lambda day: f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"),
    (
        "orders per week",
        lambda day: (
            date.fromisoformat(day) - timedelta(days=date.fromisoformat(day).weekday())
        ).isoformat(),
    ),
    ("orders per day", lambda day: day),
]


@pytest.mark.parametrize(("question", "bucket"), GRAINS, ids=[q for q, _ in GRAINS])
async def test_series_are_cut_where_the_calendar_cuts(
    shop_world: World, question: str, bucket: Callable[[str], str]
) -> None:
    talk = Talk(sources=[shop_world.source])
    await talk.ask(question)
    _, rows = shop_world.source.execute(talk.statements[-1])
    expected = Counter(bucket(one["ordered_at"][:10]) for one in shop_world.rows["orders"])
    assert [(str(row[0]), row[1]) for row in rows] == sorted(expected.items())


async def test_which_month_names_the_month_and_its_figure(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("Which month had the most orders?")
    months = Counter(o["ordered_at"][:7] for o in shop_world.rows["orders"])
    best = max(months.values())
    assert figure(answer) == str(best)
    assert months[answer.split("**")[1]] == best


async def test_the_latest_rows_come_by_their_date(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("show the last 5 orders")
    ordered = sorted(shop_world.rows["orders"], key=lambda o: (o["ordered_at"], o["id"]))
    assert column(answer, 0) == [str(one["id"]) for one in reversed(ordered[-5:])]


async def test_rows_are_shown_by_the_page_and_say_there_are_more(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("show customers")
    assert column(answer, 0) == [str(n) for n in range(1, 21)]
    assert "There are more" in answer


async def test_named_columns_are_the_ones_shown(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(
        "list name and country of the customers in Spain"
    )
    expected = [
        [c["name"], c["country"]] for c in shop_world.rows["customers"] if c["country"] == "Spain"
    ]
    assert table(answer) == expected[:20]


async def test_one_row_is_found_by_its_number(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("show order 17")
    assert column(answer, 0) == ["17"]


async def test_the_dearest_product_is_named_with_its_price(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("What is the most expensive product?")
    best = max(shop_world.rows["products"], key=lambda p: p["price"])
    assert answer.startswith(
        f"**{best['name']}** has the highest price: **{money(best['price'])}**"
    )


async def test_rows_are_sorted_as_asked(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("list products sorted by price ascending")
    prices = sorted(p["price"] for p in shop_world.rows["products"])
    assert column(answer, 3) == [money(price) for price in prices]


async def test_different_values_are_listed(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("what statuses are there?")
    assert figure(answer) == "4"
    assert "cancelled, in_progress, pending and shipped" in answer


async def test_a_share_is_told_in_percent(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("what percentage of orders are cancelled?")
    rows = shop_world.rows
    assert figure(answer) == money(
        100 * len(orders_of(rows, status="cancelled")) / len(rows["orders"])
    )


async def test_a_total_is_told_with_its_definition(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("What is our total revenue?")
    assert figure(answer) == money(sum(line["amount"] for line in lines_of(shop_world.rows)))
    assert "order_items.quantity \N{MULTIPLICATION SIGN} unit_price" in answer


async def test_sql_of_the_persons_own_is_run_as_it_stands(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask(
        "```sql\nSELECT status, COUNT(*) AS n FROM orders GROUP BY status;\n```"
    )
    assert talk.statements == ["SELECT status, COUNT(*) AS n FROM orders GROUP BY status"]
    assert {row[0] for row in table(answer)} == {"cancelled", "in_progress", "pending", "shipped"}


async def test_a_chart_of_a_series_is_a_line(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("plot orders per month")
    assert talk.calls[-1].name == "chart"
    assert '"mark": "line", "x": "month", "y": "orders"' in talk.calls[-1].arguments
    assert "Drew a line chart" in answer


async def test_an_export_takes_every_row(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("export customers to excel")
    assert talk.calls[-1].name == "export"
    assert '"format": "xlsx"' in talk.calls[-1].arguments
    assert "Saved 40 rows" in answer


async def test_tables_are_listed_and_described(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    assert {row[0] for row in table(await talk.ask("list tables"))} == set(shop_world.rows)
    described = await talk.ask("describe the orders table")
    assert column(described, 0) == ["id", "customer_id", "status", "ordered_at"]
    assert "Tables that point at it: order_items." in described
