"""Reports are what the schemas of their formats allow, whatever hosts say."""

import json
from pathlib import Path

import jsonschema
import xmlschema
from tests.unit.audit.report.test_reports import told

from forestall.audit.report.junit import Junit
from forestall.audit.report.sarif import Sarif
from forestall.model.finding import Severity

SCHEMAS = Path(__file__).parents[3] / "data" / "reports"


def test_sarif_is_what_its_schema_allows():
    """The standard's own schema finds nothing in a report of all kinds of hosts, or of none."""
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())
    judge = jsonschema.Draft202012Validator(schema)
    for found in (None, []):
        document = json.loads(told(Sarif, found))
        assert [error.message for error in judge.iter_errors(document)] == []
    document["runs"][0]["results"].append({"ruleId": "X"})
    assert [error.message for error in judge.iter_errors(document)] != []


def test_junit_is_what_its_schema_allows():
    """The schema that CI servers read such reports by finds nothing."""
    schema = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
    for fail_on in (Severity.LOW, Severity.CRITICAL, None):
        text = told(Junit, fail_on=fail_on)
        assert [error.reason for error in schema.iter_errors(text)] == []
    assert list(schema.iter_errors(text.replace(' tests="', ' count="', 1)))
