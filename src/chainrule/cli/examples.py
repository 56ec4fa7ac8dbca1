"""Examples for the help pages, which run as they stand, those of ``sample`` and ``train`` first."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "train": (
        "chainrule train customers.csv --target churned",
        "chainrule train customers.csv --target monthly_fee --fast --epochs 20",
        "chainrule train digits --epochs 5 --json",
    ),
    "tune": (
        "chainrule tune customers.csv --target churned --trials 3",
        "chainrule tune customers.csv --target churned --trials 4 --folds 2 --metric auc --out runs/quick",
        "chainrule tune customers.csv --target churned --trials 2 --storage journal:study --out runs/one",
    ),
    "evaluate": ("chainrule evaluate runs/customers customers.csv", "chainrule evaluate runs/digits"),
    "predict": (
        "chainrule predict runs/customers new.csv --keep customer",
        "chainrule predict runs/customers new.csv --out predictions.parquet",
        "chainrule predict runs/digits digits --json",
    ),
    "serve": ("chainrule serve runs/customers", "chainrule serve runs/customers --port 9000 --json"),
    "export": ("chainrule export runs/customers --js customers.mjs", "chainrule export runs/digits --c digits.c"),
    "explain": (
        "chainrule explain runs/customers customers.csv --row 3 --out row3.html",
        "chainrule explain runs/digits --row 0",
    ),
    "check": ("chainrule check runs/customers", 'chainrule check --inputs 4 --layers "dense 8, tanh, dense 3"'),
    "drift": (
        "chainrule drift runs/customers customers.csv",
        "chainrule drift runs/customers customers.csv --psi 0.25 --json",
    ),
    "sample": ("chainrule sample customers.csv --rows 300", "chainrule sample new.csv --new --rows 100"),
    "playground": ("chainrule playground hidden-layer", "chainrule playground --port 9001 --no-browser --json"),
    "course start": ("chainrule course start exercises", "chainrule course start exercises --json"),
    "course check": (
        "chainrule course check --folder exercises",
        "chainrule course check --folder exercises --json",
    ),
    "course solution": ("chainrule course solution 3", "chainrule course solution 7 --json"),
    "course grade": (
        "chainrule course grade exercises",
        "chainrule course grade exercises --csv grades.csv --seconds 5",
    ),
    "course handout": (
        "chainrule course handout handouts --students 30",
        "chainrule course handout handouts --students 30 --format latex --seed 7",
    ),
}
