"""Grains: the words for how finely time is cut."""

from databot.providers.offline.question import Grain

GRAINS: dict[str, Grain] = {
    "hour": "hour",
    "hourly": "hour",
    "day": "day",
    "date": "day",
    "daily": "day",
    "week": "week",
    "weekly": "week",
    "month": "month",
    "monthly": "month",
    "quarter": "quarter",
    "quarterly": "quarter",
    "year": "year",
    "yearly": "year",
    "annual": "year",
    "annually": "year",
    "weekday": "weekday",
    "hour_of_day": "hour_of_day",
}
