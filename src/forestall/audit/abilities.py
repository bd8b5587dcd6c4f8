"""What forestall can see and do on a host, and what would let it do more: HostFacts -> Points."""

from forestall.audit.reading import fact
from forestall.model.facts import HostFacts
from forestall.model.finding import Answer, Point


def abilities(facts: HostFacts) -> tuple[Point, ...]:
    """Processes, services, cgroups, pressure and the right to act, each with what is missing."""
    return (
        _processes(facts),
        _services(facts),
        _cgroups(facts),
        _pressure(facts),
        _evidence(facts),
        _acting(facts),
    )


def _processes(facts: HostFacts) -> Point:
    count = facts.process_count
    read = (fact(facts, "/process_count"), fact(facts, "/hidden_processes"))
    name = "see processes"
    if facts.hidden_processes is None or count is None:
        return Point(name=name, answer=Answer.UNKNOWN, text="/proc could not be listed.")
    if facts.hidden_processes:
        text = f"only {count} of this user; the others are hidden (/proc mounted with hidepid)."
        return Point(
            name=name, answer=Answer.NO, text=text, facts=read, remedy="run forestall look as root"
        )
    where = "in this container" if facts.container else "on this host"
    text = f"all {count} that hold memory {where}."
    return Point(name=name, answer=Answer.YES, text=text, facts=read)


def _services(facts: HostFacts) -> Point:
    name = "see services"
    read = (fact(facts, "/systemd_version"),)
    if facts.units is None:
        why = facts.unseen.get("units", "systemd could not be asked")
        text = f"{why}; processes are watched one by one instead."
        return Point(name=name, answer=Answer.NO, text=text, facts=read)
    version = f" {facts.systemd_version}" if facts.systemd_version else ""
    text = f"{len(facts.units)} of systemd{version}, with limits and restart policy."
    return Point(name=name, answer=Answer.YES, text=text, facts=read)


def _cgroups(facts: HostFacts) -> Point:
    name = "see cgroups"
    read = (fact(facts, "/cgroup_version"),)
    if facts.cgroup_version is None:
        why = facts.unseen.get("own_cgroups", "no memory cgroup is mounted")
        text = f"{why}; limits of services and containers are not seen."
        return Point(name=name, answer=Answer.NO, text=text, facts=read)
    text = f"version {facts.cgroup_version}: memory and limit of each service and container."
    return Point(name=name, answer=Answer.YES, text=text, facts=read)


def _pressure(facts: HostFacts) -> Point:
    name = "see pressure"
    read = (fact(facts, "/psi"),)
    if facts.psi:
        text = "PSI tells how long programs wait for memory."
        return Point(name=name, answer=Answer.YES, text=text, facts=read)
    why = facts.unseen.get("psi", "no pressure files (PSI) here")
    text = f"{why}; the forecast is made from growth alone."
    remedy = None
    if "psi=1" in why:
        remedy = 'grubby --update-kernel=ALL --args="psi=1", then reboot'
    return Point(name=name, answer=Answer.NO, text=text, facts=read, remedy=remedy)


def _evidence(facts: HostFacts) -> Point:
    name = "keep evidence"
    read = (fact(facts, "/effective_uid"),)
    if facts.effective_uid is None:
        text = "these facts were recorded elsewhere; rights there are not known."
        return Point(name=name, answer=Answer.UNKNOWN, text=text, facts=read)
    if facts.effective_uid == 0:
        text = "of every process: memory maps, limits, environment (redacted)."
        return Point(name=name, answer=Answer.YES, text=text, facts=read)
    text = "not of others' processes, whose maps need root; of this user's own, yes."
    return Point(
        name=name, answer=Answer.NO, text=text, facts=read, remedy="run forestall watch as root"
    )


def _acting(facts: HostFacts) -> Point:
    name = "stop, restart"
    read = (fact(facts, "/effective_uid"), fact(facts, "/systemd_version"))
    if facts.effective_uid is None:
        text = "these facts were recorded elsewhere; nothing can be done there from here."
        return Point(name=name, answer=Answer.UNKNOWN, text=text, facts=read)
    if facts.effective_uid != 0:
        text = "not others' processes; this user's own, yes."
        remedy = "run forestall watch as root; deploy/ has a systemd unit"
        return Point(name=name, answer=Answer.NO, text=text, facts=read, remedy=remedy)
    if facts.units is None:
        text = "it may signal any process; restarting needs a command, as systemd is not here."
        return Point(name=name, answer=Answer.YES, text=text, facts=read)
    text = "any service, through systemctl; only if told to (--mode act), never by default."
    return Point(name=name, answer=Answer.YES, text=text, facts=read)
