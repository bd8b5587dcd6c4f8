"""The demo's picture."""

from dataclasses import replace

import pytest

from forestall.demo.view import PlainView, RichView, Scene, curve, forecast_words
from forestall.model.verdict import Forecast, Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import MIB


def _verdict(low, high):
    limit = Limit(kind=LimitKind.GIVEN, limit_bytes=10, headroom_bytes=5, source="test")
    forecast = Forecast(
        limit=limit,
        rate_bytes_per_second=1.0,
        rate_low_bytes_per_second=0.5,
        rate_high_bytes_per_second=2.0,
        exhaustion_seconds=low,
        exhaustion_low_seconds=low,
        exhaustion_high_seconds=high,
        window_seconds=60.0,
    )
    return Verdict(
        subject=Subject(host="h", name="feed-sync"),
        kind=VerdictKind.LEAKING,
        at=0.0,
        memory_bytes=5,
        reasons=("Its floor rose.",),
        forecast=forecast,
    )


def test_a_curve_fills_from_the_bottom_to_the_share_of_its_top():
    """A rise from nothing to the top uses every column and ends in full blocks."""
    rows = curve([(float(i), i * 10) for i in range(1, 11)], 100, columns=10, rows=4)
    assert [len(row) for row in rows] == [10] * 4
    assert [row[-1] for row in rows] == ["█"] * 4
    assert rows[0][:5] == "     "
    assert rows[-1][0] != " "


def test_a_curve_without_points_is_empty():
    """Before the first sample there is nothing to draw."""
    assert curve([], 100, columns=10, rows=3) == ["", "", ""]


def test_a_curve_above_its_top_is_cut_there():
    """Memory over a stated limit does not draw outside the picture."""
    assert curve([(0.0, 500)], 100, columns=3, rows=2)[0][0] == "█"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (None, "no exhaustion in sight"),
        (_verdict(None, None), "no exhaustion in sight"),
        (_verdict(3600.0, None), "limit reached in 1 h at the soonest"),
        (_verdict(3600.0, 7200.0), "limit reached in 1 h to 2 h"),
    ],
)
def test_a_forecast_is_said_as_a_range(verdict, words):
    """What is not known is not said."""
    assert forecast_words(verdict) == words


def _scene():
    return Scene(scale=60.0, limit_bytes=512 * MIB, limit_is_real=True)


def test_plain_lines_show_each_event_once_and_memory_every_ten_minutes():
    """A log of the demo has no repetition, and no silence."""
    lines = []
    scene = _scene()
    with PlainView(lines.append) as view:
        for minute in range(31):
            scene.at = minute * 60.0
            scene.memory.append((scene.at, minute * MIB))
            if minute == 5:
                scene.events.append((scene.at, "feed-sync is judged LEAKING."))
            view.show(scene)
    assert sum("judged LEAKING" in line for line in lines) == 1
    assert sum("of 512 MiB" in line for line in lines) == 4


def test_the_live_picture_survives_hostile_text_and_an_empty_scene():
    """A reason with rich's markup in it is shown as it is."""
    view = RichView()
    scene = _scene()
    view.show(scene)
    scene.memory.append((0.0, MIB))
    scene.verdict = _verdict(3600.0, 7200.0)
    scene.events.append((0.0, "process [/bold] [red]x\x1b[0m was restarted"))
    view.show(scene)
    view._console.begin_capture()
    view._console.print(view._live.renderable)
    shown = view._console.end_capture()
    assert "LEAKING" in shown
    assert "[/bold] [red]x" in shown


def test_the_live_picture_fits_a_terminal_of_24_lines():
    """However much there is to say, the newest event is on the screen."""
    view = RichView()
    scene = _scene()
    scene.verdict = replace(_verdict(3600.0, 7200.0), reasons=("A reason. " * 40,) * 5)
    scene.events += [(float(number), f"event {number} " + "words " * 99) for number in range(20)]
    view.show(scene)
    view._console.begin_capture()
    view._console.print(view._live.renderable)
    shown = view._console.end_capture()
    assert "event 19" in shown
    assert len(shown.splitlines()) <= 24
