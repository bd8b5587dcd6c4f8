"""I1 to I4: what clients were told and asked for, against the orders that are stored."""

from collections.abc import Iterator, Mapping

from cims.check.facts import Invoked, StoredOrder, Told
from cims.check.finding import Finding, Violation, found

SAME_SECONDS = 2e-6
"""Two instants that went through JSON and timestamptz are equal up to their last microsecond."""

Orders = Mapping[str, list[StoredOrder]]


def acknowledged_are_stored(told: Told, orders: Orders) -> Finding:
    """I1."""
    return found("I1", len(told.answers), _lost(told, orders))


def _lost(told: Told, orders: Orders) -> Iterator[Violation]:
    for key, answers in told.answers.items():
        stored = orders.get(key, [])
        data = answers[-1].data
        about = f"order {key}"
        if not stored:
            says = f"acknowledged as {data['outcome']} with id {data['order_id']}, and not stored"
            yield Violation(about=about, says=says)
        elif len(stored) > 1:
            yield Violation(about=about, says=f"stored {len(stored)} times")
        else:
            order = stored[0]
            was = (order.id, order.outcome, order.short_sku)
            answered = (data["order_id"], data["outcome"], data["short_sku"])
            if was != answered:
                yield Violation(about=about, says=f"acknowledged as {answered}, stored as {was}")


def stored_are_placed(told: Told, orders: Orders) -> Finding:
    """I2. What a client gave up before sending, or was refused, counts as not placed."""

    def phantoms() -> Iterator[Violation]:
        for key, stored in orders.items():
            if key not in told.invoked:
                says = f"stored with id {stored[0].id}, and no history placed it"
                yield Violation(about=f"order {key}", says=says)
            elif key in told.failed and key not in told.answers:
                says = f"stored with id {stored[0].id}, and its client was refused: "
                yield Violation(about=f"order {key}", says=says + told.failed[key])

    return found("I2", len(orders), phantoms())


def one_order_a_key(told: Told) -> Finding:
    """I3."""

    def doubled() -> Iterator[Violation]:
        for key in told.again:
            yield Violation(about=f"order {key}", says="two clients made the same key")
        keys: dict[int, str] = {}
        for key, answers in told.answers.items():
            said = {(one.data["order_id"], one.data["outcome"]) for one in answers}
            if len(said) > 1:
                says = f"answered as {sorted(map(str, said))}"
                yield Violation(about=f"order {key}", says=says)
            for one in answers:
                other = keys.setdefault(one.data["order_id"], key)
                if other != key:
                    says = f"answered with id {one.data['order_id']}, which is order {other}"
                    yield Violation(about=f"order {key}", says=says)

    return found("I3", len(told.answers), doubled())


def lines_are_those_asked_for(told: Told, orders: Orders) -> Finding:
    """I4. Without histories only what the database says by itself: outcome against lines."""

    def wrong() -> Iterator[Violation]:
        for key, stored in orders.items():
            for order in stored:
                says = _lines_differ(order, told.invoked.get(key))
                if says is not None:
                    yield Violation(about=f"order {key}", says=says)

    return found("I4", len(orders), wrong())


def _lines_differ(order: StoredOrder, asked: Invoked | None) -> str | None:
    if order.outcome == "rejected" and order.lines:
        return f"rejected, and has lines {order.lines}"
    if order.outcome == "accepted" and not order.lines:
        return "accepted, and has no lines"
    if asked is None:
        return None
    if order.lines and order.lines != asked.lines:
        return f"asked for {asked.lines}, has {order.lines}"
    if order.warehouse != asked.warehouse:
        return f"asked of warehouse {asked.warehouse}, is at {order.warehouse}"
    if abs(order.requested_at - asked.requested_at) > SAME_SECONDS:
        return f"asked for at {asked.requested_at}, stored as {order.requested_at}"
    if order.outcome == "rejected" and order.short_sku not in dict(asked.lines):
        return f"rejected for SKU {order.short_sku}, which it does not ask for"
    return None
