from __future__ import annotations

import pytest

from skymap_scanner.exceptions import EventError
from skymap_scanner.result.event_metadata import EventMetadata, result_stem


def test_name_is_the_classic_one() -> None:
    event = EventMetadata(127907, 20178442, "HESE", 57517.64, is_real_event=True)
    assert str(event) == "run00127907.evt000020178442.HESE"
    assert result_stem(event, (512, 8, 64)) == "run00127907.evt000020178442.HESE_8_64_512"


@pytest.mark.parametrize("event_type", [None, "", "None"])
def test_an_event_without_type_is_the_string_none(event_type: str | None) -> None:
    event = EventMetadata(1, 2, event_type, 0.0, is_real_event=False)
    assert event.event_type == "None"
    assert str(event) == "run00000001.evt000000000002.None"


@pytest.mark.parametrize("run_id", [0, 99_999, 1_000_000])
def test_real_events_have_real_run_numbers(run_id: int) -> None:
    with pytest.raises(EventError, match="run number out of range") as caught:
        EventMetadata(run_id, 1, None, 59000.0, is_real_event=True)
    assert caught.value.found == run_id
    EventMetadata(run_id, 1, None, 59000.0, is_real_event=False)


@pytest.mark.parametrize("run_id", [100_000, 999_999])
def test_both_ends_of_the_real_range_are_legal(run_id: int) -> None:
    assert EventMetadata(run_id, 1, None, 59000.0, is_real_event=True).run_id == run_id


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(EventError, match="negative"):
        EventMetadata(-1, 1, None, 59000.0, is_real_event=False)
