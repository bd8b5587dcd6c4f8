"""One look: histories first, then one snapshot of the database, then every rule over both."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from cims.check import ledger, replies, shortage, states
from cims.check.facts import Connection, Told, stored_orders, told_by
from cims.check.finding import Finding, Proof
from cims.cli import advice_on
from cims.errors import CimsError

CONNECT_SECONDS = 5

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at. `others`: orders may be stored that no history placed."""

    dsn: str
    histories: tuple[str, ...] = ()
    others: bool = False
    skew_seconds: float = 0.0
    longest_transaction_seconds: float = shortage.LONGEST_TRANSACTION_SECONDS


def look(question: Question, say: Say = lambda text: None) -> Proof:
    """Look at everything. CimsError when the database or a history cannot be read."""
    began = time.monotonic()
    say("reading histories")
    told = told_by(question.histories)
    try:
        with psycopg.connect(question.dsn, connect_timeout=CONNECT_SECONDS) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _look(question, connection, told, began, say)
    except psycopg.Error as error:
        said = (str(error) or type(error).__name__).strip().splitlines()[0]
        advice = advice_on(error)
        raise CimsError(f"the database cannot be read: {said}", help=advice) from None


def _look(question: Question, connection: Connection, told: Told, began: float, say: Say) -> Proof:
    at = _one(connection, "SELECT extract(epoch FROM now())::float8")
    say("reading orders")
    orders = stored_orders(connection)
    placed = told
    if any(key not in told.invoked for key in orders):
        # Clients that still run placed these after their histories were read.
        placed = told_by(question.histories)
    findings = list(_against_replies(question, told, placed, orders, connection, say))
    for rule in (*ledger.RULES, *states.RULES):
        say(f"{rule.invariant}")
        findings.append(ledger.look(rule, connection))
    findings.append(states.penalties_are_right(connection))
    findings.sort(key=lambda finding: int(finding.invariant[1:]))
    return Proof(
        at=at,
        seconds=time.monotonic() - began,
        orders=sum(len(stored) for stored in orders.values()),
        movements=int(_one(connection, "SELECT count(*) FROM movement")),
        acknowledged=len(told.answers),
        histories=question.histories,
        findings=tuple(findings),
    )


def _against_replies(
    question: Question,
    told: Told,
    placed: Told,
    orders: replies.Orders,
    connection: Connection,
    say: Say,
) -> Sequence[Finding]:
    say("comparing answers")
    lines = replies.lines_are_those_asked_for(placed, orders)
    if not question.histories:
        why = "no history was given"
        return [lines, *(Finding(invariant=name, skipped=why) for name in ("I1", "I2", "I3", "I9"))]
    phantoms = (
        Finding(
            invariant="I2", skipped="--others: orders of clients without a history are expected"
        )
        if question.others
        else replies.stored_are_placed(placed, orders)
    )
    short = shortage.rejected_only_when_short(
        # Movements of orders invoked meanwhile need the later reading; answers the earlier one.
        Told(invoked=placed.invoked, answers=told.answers),
        orders,
        connection,
        skew_seconds=question.skew_seconds,
        longest_seconds=question.longest_transaction_seconds,
    )
    return [
        replies.acknowledged_are_stored(told, orders),
        phantoms,
        replies.one_order_a_key(placed),
        lines,
        short,
    ]


def _one(connection: Connection, query: str) -> float:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return float(row[0])


def store(dsn: str, proof: Proof) -> None:
    """Keep the proof where the dashboard finds it. CimsError when that is not possible."""
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO proof (held, summary) VALUES (%s, %s)", (proof.held, proof.summary())
            )
    except psycopg.Error as error:
        said = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise CimsError(f"the proof was not stored: {said}", help="or give --no-store") from None
