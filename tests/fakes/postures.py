"""Hosts as the rules' tests change them, and one rule's whole finding about one."""

from dataclasses import replace

from forestall.audit.findings import finding
from forestall.audit.posture import Posture
from forestall.audit.terms import Terms
from forestall.model.facts import PostgresFacts
from forestall.model.finding import FindingState
from tests.fakes.facts import GIB, healthy, holder, unit, with_sysctls

PASS, FAIL = FindingState.PASS, FindingState.FAIL
UNKNOWN, NOT_APPLICABLE = FindingState.UNKNOWN, FindingState.NOT_APPLICABLE


def found(rule, facts, **terms):
    """The finding with its evidence read out, so that every pointer of it must lead somewhere."""
    posture = Posture(facts, Terms(**terms) if terms else None)
    one = finding(posture, rule, rule.judge(posture))
    if one.state is not PASS:
        assert one.text
        assert one.text.endswith("."), one.text
    if one.state is FAIL:
        assert one.observed
        assert one.remedy
        assert one.undo
        assert one.reference
    return one


def state(rule, facts, **terms):
    """What the rule says in one word."""
    return found(rule, facts, **terms).state


def memory(facts, **changes):
    """`facts` with parts of its memory changed."""
    return replace(facts, memory=replace(facts.memory, **changes))


def rhel(version="9.4", machine="x86_64", **changes):
    """A quiet server of Red Hat's family."""
    kernel = {"7": "3.10.0-1160.119.1.el7", "8": "4.18.0-553.el8_10", "10": "6.12.0-55.el10_0"}
    release = kernel.get(version.partition(".")[0], "5.14.0-427.13.1.el9_4")
    return healthy(
        os_id="rhel",
        os_version_id=version,
        os_name=f"Red Hat Enterprise Linux {version}",
        kernel_release=f"{release}.{machine}",
        machine=machine,
        **changes,
    )


def database(name="postgres", facts=None, rss=6 * GIB, **changes):
    """A host for one database that holds much of its 16 GiB, with its own unit alone."""
    base = facts if facts is not None else healthy(units=())
    main = holder(name, 800, rss, 250, 0, "db.service")
    owned = unit("db.service", main_pid=800, memory_current_bytes=rss)
    settings = (PostgresFacts(complete=True),) if name.startswith("post") else None
    return replace(
        base,
        databases=(main,),
        holders=(main,),
        units=(owned,),
        **{"postgres": settings, "kubernetes": False, **changes},
    )


def sysctls(facts, **values):
    """`with_sysctls`, under the name that reads well beside the others."""
    return with_sysctls(facts, **values)
