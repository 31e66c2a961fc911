"""The story of what went wrong is told in order and never grows without bound."""

from __future__ import annotations

from skymap_scanner.scan.failures import FailureLog


def test_story_comes_in_the_order_of_variations_and_attempts() -> None:
    log = FailureLog()
    log.add((8, 5, 1), 2, "crash")
    log.add((8, 5, 0), 1, "timeout")
    log.add((8, 5, 1), 1, "crash")
    log.add((8, 6, 0), 1, "elsewhere")
    assert log.of_pixel(8, 5) == (
        "variation 0, attempt 1: timeout",
        "variation 1, attempt 1: crash",
        "variation 1, attempt 2: crash",
    )
    assert log.of_variation((8, 5, 1)) == ("attempt 1: crash", "attempt 2: crash")
    assert log.of_pixel(64, 5) == ()


def test_forgotten_pixel_has_no_story_but_its_reasons_count() -> None:
    log = FailureLog()
    log.add((8, 5, 1), 1, "crash")
    log.forget(8, 5)
    log.forget(8, 5)
    assert log.of_pixel(8, 5) == ()
    assert log.most_frequent() == [("crash", 1)]


def test_most_frequent_reasons_come_first() -> None:
    log = FailureLog()
    for reason in ("b", "a", "c", "c"):
        log.add((8, 5, 1), 1, reason)
    assert log.most_frequent(2) == [("c", 2), ("a", 1)]


def test_memory_is_bounded() -> None:
    log = FailureLog()
    for attempt in range(1, 101):
        log.add((8, 5, 0), attempt, "x" * 10_000)
    story = log.of_pixel(8, 5)
    assert len(story) == 16
    assert "attempt 100" in story[-1]
    assert max(len(line) for line in story) < 300
    assert log.n_forgotten == 84
    for ipix in range(6000):
        log.add((64, ipix, 0), 1, f"reason {ipix}")
    assert log.of_pixel(64, 5999) == ()
    assert log.n_forgotten > 1000
    assert sum(n for _, n in log.most_frequent(10**6)) == 6100
    assert len(log.most_frequent(10**6)) <= 201
