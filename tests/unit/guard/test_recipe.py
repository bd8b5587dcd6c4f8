"""Recipes: which can be carried out, and their way through an action's parameters."""

import pytest

from forestall.errors import InputError, UsageError
from forestall.guard.recipe import Method, Recipe, from_parameters, to_parameters


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(method=Method.SYSTEMD, unit="feed-sync@eu\\x2d1.service"),
        Recipe(method=Method.COMMAND, command=("/usr/bin/supervisorctl", "restart", "ü \n'x'")),
        Recipe(method=Method.SIGNAL),
        Recipe(method=Method.SUPERVISORD, program="feeds:feed-sync"),
        Recipe(
            method=Method.SUPERVISORD,
            program="feed-sync",
            server="http://127.0.0.1:9001",
            user="guard",
            password_file="/etc/forestall/supervisord",
        ),
        Recipe(method=Method.CONTAINER, engine="podman", container="feed-sync_1"),
    ],
)
def test_a_recipe_survives_an_actions_parameters(recipe):
    """Words stay words, whatever is in them."""
    assert from_parameters({**to_parameters(recipe), "grace_seconds": "5"}) == recipe


@pytest.mark.parametrize(
    "unit",
    [None, "", "feed-sync", "-H.service", "a b.service", "x/../y.service", "a.scope", "é.service"],
)
def test_only_a_plain_service_is_restarted_by_systemd(unit):
    """Nothing that systemctl could read as an option, a path or another kind of unit."""
    with pytest.raises(UsageError, match="not a systemd service"):
        Recipe(method=Method.SYSTEMD, unit=unit)


@pytest.mark.parametrize(
    "command",
    [(), ("restart.sh",), ("/bin/x", "a\0b"), ("/bin/x",) * 65, ("/bin/x", "y" * 5000)],
)
def test_a_command_is_an_absolute_path_with_bounded_words(command):
    """What is found by PATH depends on who runs it, so it is not taken."""
    with pytest.raises(UsageError, match="not a restart command"):
        Recipe(method=Method.COMMAND, command=command)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"program": ""},
        {"program": "all*"},
        {"program": "a\nb"},
        {"program": "a", "server": "https://127.0.0.1:9001"},
        {"program": "a", "server": "http://u:p@127.0.0.1:9001"},
        {"program": "a", "server": "/run/supervisor.sock"},
    ],
)
def test_a_program_of_supervisord_has_a_name_and_a_server(fields):
    """One program, asked for at an address without secrets."""
    with pytest.raises(UsageError):
        Recipe(method=Method.SUPERVISORD, **fields)


@pytest.mark.parametrize(
    ("engine", "container"),
    [(None, "a"), ("lxc", "a"), ("podman", None), ("podman", "--all"), ("docker", "a b")],
)
def test_a_container_has_an_engine_and_a_plain_name(engine, container):
    """Nothing that the engine's command could read as an option."""
    with pytest.raises(UsageError, match="not a container"):
        Recipe(method=Method.CONTAINER, engine=engine, container=container)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"method": "magic"},
        {"method": "command", "command": "not json"},
        {"method": "command", "command": '"/bin/x"'},
        {"method": "command", "command": "[1]"},
        {"method": "systemd", "unit": "--force"},
        {"method": "supervisord"},
        {"method": "container", "engine": "podman"},
    ],
)
def test_parameters_without_a_recipe_are_an_input_error(parameters):
    """A damaged plan is refused, not carried out half."""
    with pytest.raises(InputError, match="no restart recipe"):
        from_parameters(parameters)


def test_the_sentence_of_a_command_shows_only_its_program():
    """Its further words may hold a secret, and sentences go out in notices."""
    recipe = Recipe(method=Method.COMMAND, command=("/bin/x", "--token=hunter2"))
    assert recipe.sentence == "by the given command /bin/x"
