"""Fuzz the filter language: any text is a filter that SQLite can answer, or an error of ours."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["training_db"]):
    from training_db import TrainingDB, init_db
    from training_db.errors import InvalidInput
    from training_db.repository import filter_language, filter_rows, filter_sql  # noqa: F401

DATABASE = TrainingDB(sys.argv[1])
FIELDS = [
    "status", "host", "batch_size", "final_loss", "created_at", "deleted_at", "number",
    "objective.QED", "objective.QED.raw_std", "metric.loss", "metric.loss.min", "config.a",
    "config.a.b", "summary.a", "tag.x", 'config."a b"."c"', "nothing",
]  # fmt: skip
TESTS = ["=", "!=", "<", "<=", ">", ">=", "in", "not in", "like", "not like", "is", "is not", "=="]
VALUES = [
    "'failed'", '"x"', "'%_'", "'2024-01-01'", "'2024-01-01T00:00:00+02:00'", "''", "1", "-2.5e3",
    "9223372036854775808", "nan", "-inf", "true", "false", "missing", "null", "(1, 'a')", "('x')",
]  # fmt: skip


def some(provider: atheris.FuzzedDataProvider, words: list[str]) -> str:
    """Draw one of some words, or any text in their place."""
    place = provider.ConsumeIntInRange(0, len(words))
    return words[place] if place < len(words) else provider.ConsumeUnicode(6)


def condition(provider: atheris.FuzzedDataProvider, depth: int = 0) -> str:
    """Draw what looks like a filter."""
    kind = provider.ConsumeIntInRange(0, 5) if depth < 4 else 0
    if kind == 1:
        return f"not {condition(provider, depth + 1)}"
    if kind == 2:
        return f"({condition(provider, depth + 1)})"
    if kind in (3, 4):
        word = "and" if kind == 3 else "OR"
        return f"{condition(provider, depth + 1)} {word} {condition(provider, depth + 1)}"
    return f"{some(provider, FIELDS)} {some(provider, TESTS)} {some(provider, VALUES)}"


def try_one(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    text = condition(provider) if provider.ConsumeBool() else provider.ConsumeUnicode(60)
    try:
        DATABASE.runs.ids(text)
    except InvalidInput as error:
        if not str(error):
            raise AssertionError("an error without a word") from error


if __name__ == "__main__":
    init_db(DATABASE.url)
    DATABASE.runs.insert("r1", config={"a": {"b": 1}}, summary={"a": "x"}, host="h", final_loss=0.5)
    DATABASE.objectives.insert("r1", "QED", raw_mean=0.5)
    DATABASE.history.append("r1", {"loss": [2.0, 1.0]})
    atheris.Setup([sys.argv[0], *sys.argv[2:]], try_one)
    atheris.Fuzz()
