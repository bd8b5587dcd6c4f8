"""Ansible's inventories: the same hosts, addresses and groups as Ansible sees, and hostile ones."""

import json
import os
import random
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forestall.audit.inputs.inventory import InventoryHost, read_inventory
from forestall.errors import ForestallError

INI = """\
; the fleet
mail.example ansible_user="post master" # a comment
10.0.0.9:2200

[db]
db[01:05:2].example:2222 ansible_user=postgres
backup ansible_host=10.0.0.5 ansible_port=22

[web]
www[a:c].example

[prod:children]
db
web

[prod:vars]
ansible_user = deploy
unused = {{ something }}

[db:vars]
ansible_port=5422
"""
YAML = """\
---
all:
  vars: &reach {ansible_user: deploy}
  children:
    prod:
      children:
        db:
          hosts:
            db[01:02].example:
              ansible_port: 2222
            backup: {ansible_host: 10.0.0.5}
        web:
          hosts: {www1: , www2: {ansible_user: web}}
          vars: *reach
    empty:
"""


def _read(tmp_path, text, name="hosts.ini"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return {host.name: host for host in read_inventory(str(path))}


def test_ini(tmp_path):
    """Ranges with steps and zeros, ports, addresses, groups above groups, and their variables."""
    found = _read(tmp_path, INI)
    assert list(found) == [
        "mail.example", "10.0.0.9", "db01.example", "db03.example", "db05.example", "backup",
        "wwwa.example", "wwwb.example", "wwwc.example",
    ]  # fmt: skip
    assert found["db03.example"] == InventoryHost(
        name="db03.example", port=2222, user="postgres", groups=("db", "prod")
    )
    assert found["backup"] == InventoryHost(
        name="backup", address="10.0.0.5", port=22, user="deploy", groups=("db", "prod")
    )
    assert found["wwwb.example"].destination == "deploy@wwwb.example"
    assert found["mail.example"].user == "post master"
    assert (found["10.0.0.9"].port, found["10.0.0.9"].groups) == (2200, ("ungrouped",))
    assert "deploy@10.0.0.5:22" in [
        one.destination for one in read_inventory(str(tmp_path / "hosts.ini"))
    ]


def test_yaml(tmp_path):
    """Nested children, null hosts, anchors, and variables of the groups above."""
    found = _read(tmp_path, YAML, "hosts.yml")
    assert list(found) == ["db01.example", "db02.example", "backup", "www1", "www2"]
    assert found["db01.example"].destination == "deploy@db01.example:2222"
    assert found["backup"].groups == ("db", "prod")
    assert found["www2"].user == "web"


def test_json_of_ansible_inventory(tmp_path):
    """What `ansible-inventory --list` prints, with the variables that only it can know."""
    document = {
        "_meta": {"hostvars": {"db1": {"ansible_host": "10.0.0.1", "ansible_port": 2222}}},
        "all": {"children": ["ungrouped", "prod"]},
        "prod": {"children": ["db"]},
        "db": {"hosts": ["db1", "db2"]},
    }
    found = _read(tmp_path, json.dumps(document), "list.json")
    assert found["db1"].destination == "10.0.0.1:2222"
    assert found["db2"].groups == ("db", "prod")


def test_addresses_of_version_6(tmp_path):
    """A colon is a part of the address, not a port or a range."""
    found = _read(tmp_path, "2001:db8::1\n[2001:db8::2]:2222\n")
    assert found["2001:db8::1"].destination == "2001:db8::1"
    assert found["2001:db8::2"].destination == "[2001:db8::2]:2222"


def test_a_folder_of_inventories(tmp_path):
    """As Ansible takes one: every file of it, without editors' leavings."""
    (tmp_path / "a").write_text("[db]\ndb1\n")
    (tmp_path / "b.yml").write_text("web: {hosts: {www1: }}\n")
    (tmp_path / "c.retry").write_text("[[[\n")
    assert [host.name for host in read_inventory(str(tmp_path))] == ["db1", "www1"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("h", "", "no host in"),
        ("h", "[db\nx y\n", "line 2: no NAME=VALUE"),
        ("h", "db[1:9999999999]\n", "more than 1000000 hosts"),
        ("h", "db[05:1]\n", "of one length"),
        ("h", "db[9:1]\n", "ends before it begins"),
        ("h", "db 'x\n", "line 1: No closing quotation"),
        ("h", "[a:wrong]\n", "not a kind of section"),
        ("h", "#!/usr/bin/python3\nprint(1)\n", "not run here"),
        ("h.json", "{", "no JSON"),
        ("h.json", '{"db": {"hosts": "x"}}', "no list of names"),
        ("h.yml", "a: [", "line 2"),
        ("h.yml", "- a\n- b\n", "no groups at the top"),
        ("h.yml", "db: {hosts: [a]}", "no mapping"),
        ("h.yml", "db: !!python/object/apply:os.system ['true']", "line 1: a tag"),
        ("h.yml", "db: 2024-13-45", "no YAML|no mapping"),
        ("h.yml", "{" * 5000, "no YAML|line 1"),
        ("h", b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_what_is_no_inventory_is_one_clear_line(tmp_path, name, text, words):
    """The file, the line where there is one, and what is wrong."""
    with pytest.raises(ForestallError, match=words) as raised:
        _read(tmp_path, text, name)
    assert "\n" not in raised.value.message


def test_groups_in_a_circle_end(tmp_path):
    """Two groups that hold each other: an answer or an error, not a loop."""
    text = "[a]\nx\n[a:children]\nb\n[b:children]\na\n"
    (host,) = _read(tmp_path, text).values()
    assert host.groups == ("a", "b")


@pytest.mark.parametrize("form", ["aliases", "merges"])
def test_yaml_bombs_are_stopped(tmp_path, form):
    """Nine aliases of nine aliases and so on: an error at a limit, not an hour."""
    if form == "aliases":
        lines = ["x0: &x0 {hosts: {h: }}"]
        lines += [
            f"x{n}: &x{n} {{children: {{"
            + ", ".join(f"c{n}{k}: *x{n - 1}" for k in range(9))
            + "}}"
            for n in range(1, 12)
        ]
        lines = [line + "}" if line.count("{") > line.count("}") else line for line in lines]
    else:
        lines = ["x0: &x0 {a: 1, b: 2}"]
        lines += [
            f"x{n}: &x{n} {{'<<': [{', '.join([f'*x{n - 1}'] * 9)}]}}".replace("'<<'", "<<")
            for n in range(1, 12)
        ]
    # A PyYAML from 6.0.3 on merges each key once, so that nothing is left to stop there.
    with pytest.raises(ForestallError, match=r"merges more|repeats itself|no host"):
        _read(tmp_path, "\n".join(lines), "bomb.yml")


def _generated(seed):
    """An inventory in INI of groups, nested ones, ranges and variables."""
    rng = random.Random(seed)
    groups = [f"g{number}" for number in range(rng.randint(1, 8))]
    lines = [f"lone{number}" for number in range(rng.randint(0, 2))]
    for group in groups:
        lines.append(f"[{group}]")
        for _ in range(rng.randint(0, 4)):
            name = rng.choice(
                [f"h{rng.randint(1, 9)}", "r[1:4]", "z[01:07:3]", "l[a:d]x[1:2]", "s[8:12]"]
            )
            extra = rng.choice(["", f" ansible_host=10.1.1.{rng.randint(1, 9)}", ":2222"])
            user = rng.choice(["", "", f" ansible_user=u{rng.randint(1, 3)} # said"])
            lines.append(name + extra + user)
    for index, group in enumerate(groups[1:], 1):
        if rng.random() < 0.6:
            lines += [f"[{groups[rng.randrange(index)]}:children]", group]
        if rng.random() < 0.4:
            lines += [f"[{group}:vars]", f"ansible_user = v{group}", "other='x y'"]
    if rng.random() < 0.3:
        lines += ["[all:vars]", "ansible_port=2200"]
    return "\n".join(lines) + "\n"


ANSIBLE = shutil.which(
    "ansible-inventory", path=os.pathsep.join((os.path.dirname(sys.executable), os.defpath))
)


@pytest.mark.skipif(ANSIBLE is None, reason="ansible-core is not installed")
@pytest.mark.parametrize("seed", range(20))
def test_the_same_as_ansible(tmp_path, seed):
    """On generated inventories: the hosts, addresses, ports, users and groups that Ansible sees."""
    path = tmp_path / "hosts"
    path.write_text(_generated(seed))
    answer = subprocess.run(
        [ANSIBLE, "-i", str(path), "--list"],
        capture_output=True,
        timeout=60,
        check=True,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0", "HOME": str(tmp_path)},
    )
    listed = tmp_path / "list.json"
    listed.write_bytes(answer.stdout)
    try:
        theirs = {host.name: host for host in read_inventory(str(listed))}
    except ForestallError:
        theirs = {}
    try:
        ours = {host.name: host for host in read_inventory(str(path))}
    except ForestallError:
        ours = {}
    assert ours == theirs


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(["h", "h.yml", "h.json"]),
    text=st.text(max_size=120)
    | st.lists(
        st.sampled_from(
            [
                "[a]",
                "[b:vars]",
                "[c:children]",
                "h[1:3]",
                "x=1",
                "\n",
                " ",
                "all:",
                "hosts:",
                "{",
                "}",
                "&a",
                "*a",
                "<<:",
                "- ",
                "'",
                '"',
                "#",
                "  ",
                "ansible_port=9",
                "a",
            ]
        ),
        max_size=25,
    ).map("".join),
)
def test_no_text_raises_anything_else(tmp_path_factory, name, text):
    """Whatever is in it: hosts, or one ForestallError."""
    try:
        assert _read(tmp_path_factory.getbasetemp(), text.encode("utf-8", "ignore"), name)
    except ForestallError as error:
        assert error.message  # noqa: PT017


@pytest.mark.parametrize("port", ["99999", "0", "ssh", "1" * 5000])
def test_a_port_that_is_none_is_a_problem_of_its_host_alone(tmp_path, port):
    """The other hosts of the inventory are read, and this one says why it cannot be."""
    (tmp_path / "h").write_text(f"lonely ansible_port={port}\nother ansible_port=022\n")
    lonely, other = read_inventory(str(tmp_path / "h"))
    assert "not a port" in lonely.problem
    assert len(lonely.problem) < 200
    assert (other.port, other.problem) == (22, None)


def test_a_vaulted_value_is_unknown_and_the_inventory_is_read(tmp_path):
    """`!vault` hides one value; hosts, groups and the other values are there."""
    (tmp_path / "h.yml").write_text(
        "db:\n  hosts:\n    db01:\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1\n"
        "        6162\n      ansible_host: 10.0.0.5\n"
    )
    (found,) = read_inventory(str(tmp_path / "h.yml"))
    assert (found.name, found.user, found.address) == ("db01", None, "10.0.0.5")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    """As editors of Windows write it."""
    (tmp_path / "h").write_bytes(b"\xef\xbb\xbfdb01\n")
    assert [one.name for one in read_inventory(str(tmp_path / "h"))] == ["db01"]
