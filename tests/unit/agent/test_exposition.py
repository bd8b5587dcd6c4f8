import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from forestall.agent.exposition import LABEL_CHARACTERS_MAX, Family, render


def parse(text: bytes):
    return list(text_string_to_metric_families(text.decode("utf-8")))


def test_a_family_without_a_value_is_left_out():
    """None is not 0: what this host cannot tell has no sample, and no empty family."""
    families = [
        Family("a_bytes", "gauge", "A.", [({}, None)]),
        Family("b_bytes", "gauge", "B.", [({"x": "1"}, None), ({"x": "2"}, 5)]),
    ]
    assert render(families) == b'# HELP b_bytes B.\n# TYPE b_bytes gauge\nb_bytes{x="2"} 5\n'
    assert render([]) == b""


@given(
    st.lists(
        st.tuples(
            st.text(max_size=LABEL_CHARACTERS_MAX // 2),
            st.floats(allow_nan=True) | st.integers(0, 2**63),
        ),
        max_size=5,
    )
)
def test_the_official_parser_reads_back_every_name_and_number(samples):
    """Any text as a label and any number come back exactly."""
    family = Family("x_bytes", "gauge", "Help.", [({"n": text}, value) for text, value in samples])
    parsed = parse(render([family]))
    if not samples:
        assert parsed == []
        return
    (metric,) = parsed
    assert [s.labels["n"] for s in metric.samples] == [text for text, _ in samples]
    for sample, (_, value) in zip(metric.samples, samples, strict=True):
        assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))


def test_hostile_names_of_processes_stay_inside_their_label():
    """Quotes, newlines, backslashes and bytes that are not UTF-8 cannot forge a sample."""
    names = ['a"} 1\nforged_bytes 7', "b\\", "c\\n", "d\udcff", "e\x00\x1b[2J", "f\r\n", "{}", ""]
    family = Family("x_bytes", "gauge", "H.", [({"process": name}, 1) for name in names])
    parsed = parse(render([family]))
    assert [metric.name for metric in parsed] == ["x_bytes"]
    found = [sample.labels["process"] for sample in parsed[0].samples]
    assert found == [*names[:3], "d\\udcff", *names[4:]]


def test_help_may_hold_a_newline():
    """Help text is escaped as the format asks."""
    (metric,) = parse(render([Family("x_bytes", "gauge", "one\ntwo \\ three", [({}, 1)])]))
    assert metric.documentation == "one\ntwo \\ three"


def test_a_label_is_bounded():
    """A name of a megabyte does not become a line of a megabyte."""
    assert len(render([Family("x", "gauge", "H.", [({"n": "y" * 1_000_000}, 1)])])) < 400
