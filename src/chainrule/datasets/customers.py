"""A made-up table of customers, some of whom left: dates, categories, text and missing values, as real tables have."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import numpy as np

PLANS = ("basic", "plus", "pro")
PRICES = (9.9, 19.9, 39.9)
COUNTRIES = ("Germany", "France", "Spain", "Italy", "Poland", "Austria", "Portugal", "Ireland", "Finland", "Malta")
PAYMENTS = ("card", "direct debit", "invoice")
CONTENT = (
    "thank you for the quick help", "the new dashboard is great", "could you add another user", "all fine so far",
    "please send the invoice again", "how do I export my data", "works well for our team",
)  # fmt: skip
UNHAPPY = (
    "the app is slow again", "why was I charged twice", "still waiting for an answer", "we may look for alternatives",
    "the export does not work", "how do I cancel my plan", "too expensive for what it does",
)  # fmt: skip
OPENINGS = ("Hello,", "Hi there,", "Dear team,", "Good morning,", "Quick question:", "Just to let you know:")
TODAY = date(2025, 1, 1)


def customers(rows: int = 2000, seed: int = 0, *, labeled: bool = True) -> str:
    """Return customers as the text of a CSV file, of whom about a quarter churned.

    Parameters
    ----------
    rows : int
    seed : int
        The same seed gives the same customers.
    labeled : bool
        Whether to include the column ``churned``.

    Examples
    --------
    >>> first, second, *_ = customers(3).splitlines()
    >>> first
    'customer,signed_up,country,age,plan,monthly_fee,hours_a_week,support_calls,payment,newsletter,last_message,churned'
    >>> second.startswith("C10000,20")
    True
    """
    rng = np.random.default_rng(seed)
    days = rng.integers(30, 5 * 365, rows)
    country = rng.choice(len(COUNTRIES), rows, p=np.array([30, 20, 15, 12, 8, 5, 4, 3, 2, 1]) / 100)
    age = np.clip(rng.normal(42, 13, rows), 18, 85).round()
    plan = rng.choice(3, rows, p=[0.5, 0.35, 0.15])
    fee = np.array(PRICES)[plan] * rng.choice([1.0, 0.9, 0.8], rows, p=[0.7, 0.2, 0.1])
    hours = rng.gamma(1.5, 2.0 + plan, rows)
    calls = rng.poisson(0.7, rows)
    payment = rng.choice(3, rows, p=[0.55, 0.3, 0.15])
    newsletter = rng.random(rows) < 0.4
    # an expensive plan that is little used is a reason to leave, and so are calls of new customers
    score = -2.6 + 0.13 * fee / (1 + np.exp(hours - 2.5)) + (2.0 * np.exp(-days / 500) - 0.3) * calls
    score += 0.004 * (age - 45) ** 2 + 0.7 * (payment == 2) - 0.4 * newsletter + 0.5 * np.isin(country, (2, 4))
    churned = rng.random(rows) < 1 / (1 + np.exp(-2 * score))
    unhappy = rng.random(rows) < np.where(churned, 0.55, 0.2)
    openings, messages = rng.integers(0, len(OPENINGS), rows), rng.integers(0, len(CONTENT), (rows, 2))
    without_age, without_payment, without_message = (rng.random((3, rows)) < [[0.08], [0.05], [0.25]]).tolist()

    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    names = "customer signed_up country age plan monthly_fee hours_a_week support_calls payment newsletter last_message"
    writer.writerow([*names.split(), *(["churned"] if labeled else [])])
    for i in range(rows):
        first, second = messages[i]
        said = f"{OPENINGS[openings[i]]} {(UNHAPPY if unhappy[i] else CONTENT)[first]}, {CONTENT[second]}"
        row = [
            f"C{10000 + i}", (TODAY - timedelta(days=int(days[i]))).isoformat(), COUNTRIES[country[i]],
            "" if without_age[i] else int(age[i]), PLANS[plan[i]], f"{fee[i]:.2f}", f"{hours[i]:.1f}", calls[i],
            "" if without_payment[i] else PAYMENTS[payment[i]], "yes" if newsletter[i] else "no",
            "" if without_message[i] else said,
        ]  # fmt: skip
        writer.writerow([*row, *(["yes" if churned[i] else "no"] if labeled else [])])
    return lines.getvalue()
