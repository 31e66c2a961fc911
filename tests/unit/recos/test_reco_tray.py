"""Our small tray: order, streams, conditions, what frames see, and errors that name the module."""

from __future__ import annotations

from typing import Any

import pytest

from skymap_scanner.exceptions import EventError, PluginError
from skymap_scanner.recos.tray import Tray
from skymap_scanner.recos.tray_frame import TrayFrame


def add_one(frame: Any, key: str = "n") -> None:
    frame.Replace(key, frame[key] + 1)


def drop_even(frame: Any) -> bool:
    return bool(frame["n"] % 2)


def frames_of(*numbers: int) -> list[TrayFrame]:
    return [TrayFrame("P", {"n": number}) for number in numbers]


def test_modules_run_in_order_on_every_frame() -> None:
    tray = Tray(frames_of(1, 2))
    tray.Add(add_one, "first")
    tray.AddModule(lambda frame: frame.Put("after", frame["n"]), "second")
    assert [frame["after"] for frame in tray.Execute()] == [2, 3]
    tray.Finish()
    tray.Finish()


def test_a_frame_that_is_dropped_reaches_no_later_module() -> None:
    seen = []
    tray = Tray(frames_of(1, 2, 3))
    tray.Add(drop_even, "drop")
    tray.Add(lambda frame: seen.append(frame["n"]), "see")
    assert [frame["n"] for frame in tray.Execute()] == [1, 3] == seen


def test_a_module_is_passed_by_where_its_condition_is_false() -> None:
    tray = Tray(frames_of(1, 2))
    tray.Add(add_one, "odd_only", If=drop_even)
    assert [frame["n"] for frame in tray.Execute()] == [2, 2]


def test_parameters_reach_the_module() -> None:
    tray = Tray([TrayFrame("P", {"m": 1})])
    tray.Add(add_one, "add", key="m")
    (frame,) = tray.Execute()
    assert frame["m"] == 2


def test_execute_can_stop_after_some_frames() -> None:
    tray = Tray(frames_of(1, 2, 3))
    assert [frame["n"] for frame in tray.Execute(2)] == [1, 2]
    assert [frame["n"] for frame in tray.Execute()] == [3]


def test_modules_get_physics_frames_unless_they_say_otherwise() -> None:
    class Stream:
        id = "Q"

    seen: list[tuple[str, str]] = []
    tray = Tray([TrayFrame(stop) for stop in "GQpP"])
    tray.Add(lambda frame: seen.append(("default", frame.Stop)), "default")
    tray.Add(lambda frame: seen.append(("chosen", frame.Stop)), "chosen", Streams=["G", Stream()])
    tray.Execute()
    assert seen == [("chosen", "G"), ("chosen", "Q"), ("default", "P")]


def test_a_frame_sees_the_latest_of_each_longer_lived_stream() -> None:
    tray = Tray(
        [
            TrayFrame("G", {"geometry": "old"}),
            TrayFrame("Q", {"n": 1, "only_q1": True}),
            TrayFrame("P", {"own": 1}),
            TrayFrame("Q", {"n": 2}),
            TrayFrame("P", {"own": 2, "n": 7}),
        ]
    )
    tray.Add(lambda frame: frame.Put("note", "x"), "note", Streams="G")
    *_, first, _, second = tray.Execute()
    assert (first["geometry"], first["note"], first["n"], first["only_q1"]) == ("old", "x", 1, True)
    assert (second["geometry"], second["n"], second.Has("only_q1")) == ("old", 7, False)
    assert second.keys() == ["geometry", "n", "note", "own"]


def test_a_new_data_frame_hides_the_physics_frame_before_it() -> None:
    tray = Tray([TrayFrame("p", {"a": 1}), TrayFrame("Q"), TrayFrame("P")])
    *_, pixel = tray.Execute()
    assert "a" not in pixel


def test_frames_have_the_manners_of_icetray() -> None:
    frame = TrayFrame("P", {"a": 1})
    frame["b"] = 2
    assert (frame.Has("b"), frame.Get("b"), frame.get("c", 5), len(frame)) == (True, 2, 5, 2)
    assert dict(frame.items()) == {"a": 1, "b": 2}
    with pytest.raises(KeyError, match="already has 'a'"):
        frame["a"] = 3
    frame.Delete("a")
    frame.Delete("a")
    assert list(frame) == ["b"]
    with pytest.raises(KeyError):
        del frame["a"]
    with pytest.raises(KeyError):
        frame.Get("a")


def test_a_copy_shares_no_entry() -> None:
    frame = TrayFrame("P", {"a": 1})
    copy = frame.copy("p")
    copy["b"] = 2
    copy.Delete("a")
    assert (frame.keys(), copy.keys(), copy.stop) == (["a"], ["b"], "p")


def test_objects_are_decoded_when_asked_for_and_only_once() -> None:
    class Stored(dict[str, int]):
        reads = 0

        def __getitem__(self, key: str) -> int:
            type(self).reads += 1
            return super().__getitem__(key)

    frame = TrayFrame("P", Stored(a=1, b=2))
    assert Stored.reads == 0
    assert frame["a"] == frame["a"] == 1
    assert Stored.reads == 1


def test_segments_add_their_modules() -> None:
    def segment(tray: Tray, name: str, logger: str) -> None:
        tray.Add(lambda frame: frame.Put(logger, name), f"{name}_put")

    def marked(tray: Tray, name: str) -> None:
        tray.AddSegment(segment, f"{name}_inner", logger="log")

    vars(marked)["__i3traysegment__"] = True  # what @icetray.traysegment leaves
    tray = Tray([TrayFrame("P")])
    tray.Add(marked, "outer")
    (frame,) = tray.Execute()
    assert frame["log"] == "outer_inner"


def test_modules_without_a_name_get_one_each() -> None:
    tray = Tray(frames_of(1))
    for _ in range(3):
        tray.Add(add_one)
    (frame,) = tray.Execute()
    assert frame["n"] == 4


@pytest.mark.parametrize(
    ("add", "complaint"),
    [
        (lambda tray: tray.Add("I3Reader", "reader"), "'reader': 'I3Reader' is no Python callable"),
        (lambda tray: tray.Add("MillipedeLikelihood"), "need IceTray"),
        (lambda tray: tray.Add(dict, "class"), "'class': class dict is no Python callable"),
        (lambda tray: tray.AddService("I3GSL", "minimiser"), "'minimiser' needs IceTray"),
        (
            lambda tray: tray.Add(add_one, "add", kye="n"),
            "'add'.*unexpected keyword argument 'kye'",
        ),
        (lambda tray: tray.Add(lambda: True, "none"), "'none'.*cannot be called"),
        (lambda tray: [tray.Add(add_one, "twice") for _ in "ab"], "'twice'.*already one"),
    ],
)
def test_what_cannot_be_a_module_is_named(add: Any, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        add(Tray())


def test_an_exception_names_its_module_and_keeps_its_cause() -> None:
    tray = Tray(frames_of(1))
    tray.Add(lambda frame: frame["absent"], "reads_absent")
    with pytest.raises(PluginError, match=r"'reads_absent': KeyError: 'absent'") as caught:
        tray.Execute()
    assert isinstance(caught.value.__cause__, KeyError)


def test_our_own_errors_keep_their_kind() -> None:
    def refuse(frame: Any) -> None:
        raise EventError("no pulses")

    tray = Tray(frames_of(1))
    tray.Add(refuse, "refuse")
    with pytest.raises(EventError, match="no pulses") as caught:
        tray.Execute()
    assert caught.value.__notes__ == ["in tray module 'refuse'"]
