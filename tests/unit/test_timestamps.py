from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK
from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp, now, parse_timestamp

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-06T07:08:09Z",
        "2024-05-06T07:08:09",
        "2024-05-06 07:08:09",
        "2024-05-06 07:08:09Z",
        "2024-05-06 07:08:09+00:00",
        "2024-05-06T09:08:09+02:00",
        "2024-05-06 01:38:09-05:30",
        "2024-05-06T07:08:09.000000Z",
        "2024-05-06T07:08:09.0",
        "  2024-05-06T07:08:09Z\n",
        "20240506T070809Z",
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=9))),
        1714979289,
        1714979289.0,
    ],
)
def test_every_form_that_people_write_is_the_same_moment(written: object) -> None:
    assert parse_timestamp(written) == MOMENT
    assert parse_timestamp(written).tzinfo is UTC
    assert format_timestamp(parse_timestamp(written)) == "2024-05-06T07:08:09.000000Z"


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        (".5", 500000),
        (".123", 123000),
        (".123456", 123456),
        (".123456789", 123456),
        (",25", 250000),
    ],
)
def test_fractions_of_any_length_are_read(fraction: str, microseconds: int) -> None:
    assert parse_timestamp(f"2024-05-06T07:08:09{fraction}Z").microsecond == microseconds


def test_a_date_is_its_midnight() -> None:
    assert parse_timestamp(date(2024, 5, 6)) == datetime(2024, 5, 6, tzinfo=UTC)
    assert parse_timestamp("2024-05-06") == datetime(2024, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday", "", "2024-13-01", "2024-05-06T25:00:00", None, True, [], {}, b"2024-05-06",
        float("nan"), float("inf"), 1e300, 10**400, -(10**18), "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_its_name_and_value(value: object) -> None:
    with pytest.raises(InvalidValue, match="started_at") as caught:
        parse_timestamp(value, "started_at")
    assert "2024-05-06T07:08:09Z" in str(caught.value)


@QUICK
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_the_order_of_the_texts_is_the_order_of_the_moments(one: datetime, two: datetime) -> None:
    assert (format_timestamp(one) < format_timestamp(two)) == (one < two)
    assert len(format_timestamp(one)) == 27


@QUICK
@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001 - a zone is drawn below
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_of_any_zone_comes_back_the_same(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_timestamp(format_timestamp(local)) == local
    assert parse_timestamp(local.isoformat()) == local
    assert parse_timestamp(local.isoformat(sep=" ")) == local


def test_what_has_no_zone_is_utc_wherever_the_machine_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_timestamp("2024-05-06 07:08:09") == MOMENT
        assert parse_timestamp(MOMENT.replace(tzinfo=None)) == MOMENT
        assert parse_timestamp(1714979289) == MOMENT
    finally:
        monkeypatch.undo()
        time.tzset()


def test_now_is_aware() -> None:
    assert now().tzinfo is UTC
