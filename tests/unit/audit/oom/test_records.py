"""Logs as JSON of every make."""

import json

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

LINES = oom.report(oom_hosts.incident())
PLAIN = chosen(explain("\n".join(LINES)))
ENTRIES = [
    {"_TRANSPORT": "kernel", "_HOSTNAME": "db-01", "MESSAGE": line, "PRIORITY": "4"}
    for line in LINES
]
STAMPED = [f"kernel: [ 4711.250000] {line}" for line in LINES]
FORMS = {
    "array": json.dumps(ENTRIES),
    "array over lines, as jq -s": json.dumps(ENTRIES, indent=2),
    "json-pretty": "\n".join(json.dumps(entry, indent=8) for entry in ENTRIES),
    "json-seq": "".join("\x1e" + json.dumps(entry) + "\n" for entry in ENTRIES),
    "a line of text each": "\n".join(json.dumps({"ts": "t", "line": one}) for one in STAMPED),
    "container runtime": "\n".join(
        json.dumps({"log": one + "\n", "stream": "stdout"}) for one in STAMPED
    ),
    "nested": "\n".join(
        json.dumps({"_index": "logs", "_source": {"message": one, "host": "db-01"}})
        for one in STAMPED
    ),
    "Loki's answer": json.dumps(
        {
            "data": {
                "result": [{"stream": {"host": "db-01"}, "values": [["17", s] for s in STAMPED]}]
            }
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_the_same(form):
    """Wherever the line of the kernel stands in the document."""
    report = explain(FORMS[form])
    account = chosen(report)
    assert (report.events, account.headline, account.holders) == (1, PLAIN.headline, PLAIN.holders)


@pytest.mark.parametrize("form", ["array", "nested", "Loki's answer"])
def test_the_host_is_taken_from_where_it_stands(form):
    """Each maker has a name of its own for it."""
    assert chosen(explain(FORMS[form])).host == "db-01"


def test_a_quiet_journal_in_an_array_is_an_all_clear():
    """Entries of the kernel were read to their end."""
    entries = [{"_TRANSPORT": "kernel", "MESSAGE": "eth0: link is up"}] * 3
    report = explain(json.dumps(entries))
    assert (report.events, report.lines_read) == (0, 3)


def test_lines_between_that_are_no_json_cost_only_themselves():
    """A note of the tool that wrote it stands on a line of its own."""
    text = "".join(json.dumps(entry, indent=1) + "\n-- note {\n" for entry in ENTRIES)
    assert chosen(explain(text)).headline == PLAIN.headline


def test_a_document_in_one_line_may_be_long():
    """Loki answers with everything in one object, far longer than a line of a log may be."""
    quiet = [["16", "kernel: [    1.000000] eth0: link is up"]] * 5_000
    values = [*quiet, *(["17", line] for line in STAMPED)]
    assert chosen(explain(json.dumps({"values": values}))).headline == PLAIN.headline


def test_depth_has_an_end():
    """A document nested without end is passed over."""
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    text = json.dumps(ENTRIES[0], indent=1) + "\n" + deep + "\n" + json.dumps(ENTRIES[1:])
    assert explain(text).events == 1
