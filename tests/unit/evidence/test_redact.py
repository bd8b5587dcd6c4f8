"""What redaction hides and what it leaves to the reader."""

import pytest

from forestall.evidence.redact import MAX_WORD_CHARS, REDACTED, command_line, environment


@pytest.mark.parametrize(
    "word",
    [
        "PATH=/usr/local/bin:/usr/bin:/opt/app-1.2.3/bin",
        "LANG=de_DE.UTF-8",
        "LC_ALL=C",
        "HOME=/var/lib/feed-sync",
        "USER=feed",
        "TZ=Europe/Berlin",
        "SHELL=/bin/bash",
        "PWD=/srv/feed",
        "MALLOC_ARENA_MAX=2",
        "MALLOC_TRIM_THRESHOLD_=131072",
        "PYTHONMALLOC=malloc",
        "PYTHONUNBUFFERED=1",
        "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
        "GOMEMLIMIT=512MiB",
        "ANYTHING=",
    ],
)
def test_harmless_variables_stay(word):
    """What explains memory and locale is needed, and an empty value is no secret."""
    assert environment([word]).words == (word,)
    assert environment([word]).count == 0


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY", "GITHUB_TOKEN", "SECRET", "DB_PASS", "PGPASSWORD", "DB_PWD", "AWS_CREDENTIALS",
        "AUTH", "COOKIE", "SENTRY_DSN", "PRIVATE", "SESSION_ID", "ANY_OTHER", "path", "PATH2",
        "PYTHONSECRET", "MY_LANG",
    ],
)  # fmt: skip
def test_every_other_value_is_hidden_whatever_it_looks_like(name):
    """Closed by default: a name that is not on the short list hides its value."""
    assert environment([f"{name}=hunter2"]).words == (f"{name}={REDACTED}",)
    assert environment([f"{name}=hunter2"]).count == 1


@pytest.mark.parametrize(
    "value",
    [
        "postgres://app:hunter2@db1/feed",
        "https://hunter2@git.example/x",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
        "Bearer hunter2",
        "9f86d081884c7d659a2feaa0c55ad015",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz",
        "de305d54-75b4-431b-adb2-eb6b9e546014",
        "x" * (MAX_WORD_CHARS + 1),
    ],
)
def test_a_value_that_looks_secret_is_hidden_under_a_harmless_name(value):
    """A harmless name does not vouch for a token."""
    assert environment([f"HOME={value}"]).words == (f"HOME={REDACTED}",)


@pytest.mark.parametrize("word", ["hunter2", "two words=x", "=x", "a-b=x", "é=x", ""])
def test_what_is_no_assignment_is_hidden_whole(word):
    """A process may write anything over its environment; its shape is not trusted."""
    assert environment([word]).words == (REDACTED,)


@pytest.mark.parametrize(
    ("words", "hidden"),
    [
        (["--password", "hunter2"], ["--password", REDACTED]),
        (["--password=hunter2"], [f"--password={REDACTED}"]),
        (["-Dspring.datasource.password=hunter2"], [f"-Dspring.datasource.password={REDACTED}"]),
        (["--password", "--api-token", "hunter2"], ["--password", REDACTED, REDACTED]),
        (["PGPASSWORD=hunter2", "psql"], [f"PGPASSWORD={REDACTED}", "psql"]),
        (["set", "password", "hunter2"], ["set", "password", REDACTED]),
        (["mysql", "-uroot", "-phunter2", "db"], ["mysql", "-uroot", f"-p{REDACTED}", "db"]),
        (["/usr/bin/mysqldump", "-phunter2"], ["/usr/bin/mysqldump", f"-p{REDACTED}"]),
        (["sshpass", "-p", "hunter2", "ssh"], ["sshpass", "-p", REDACTED, "ssh"]),
        (["redis-cli", "-a", "hunter2"], ["redis-cli", "-a", REDACTED]),
        (["curl", "-u", "app:hunter2", "http://x/"], ["curl", "-u", REDACTED, "http://x/"]),
        (["sqlplus", "scott/hunter2@orcl"], ["sqlplus", f"scott/{REDACTED}@orcl"]),
        (["app:hunter2@db1"], [f"app:{REDACTED}@db1"]),
        (["postgres://app:hunt@er/2@db1/x"], [f"postgres://{REDACTED}@db1/x"]),
        (["-H", "Authorization: Bearer hunter2"], ["-H", f"Authorization: {REDACTED}"]),
        (["-H", "Cookie: a=hunter2; b=hunter2"], ["-H", f"Cookie: {REDACTED}"]),
        (["sh", "-c", "mysql -phunter2 && x"], ["sh", "-c", f"mysql -p{REDACTED} && x"]),
        (["sh -c x --password hunter2 y"], [f"sh -c x --password {REDACTED} y"]),
        (["--dsn='host=h hunter2' y"], [f"--dsn={REDACTED} y"]),
        (["host=h password = 'hunter 2' user=u"], [f"host=h password = {REDACTED} user=u"]),
        (['{"password":"hun\\"ter2","user":"u"}'], [f'{{"password":{REDACTED},"user":"u"}}']),
        (["ALTER USER x IDENTIFIED BY 'hunter2'"], [f"ALTER USER x IDENTIFIED BY {REDACTED}"]),
        (["ghp_0123456789abcdefghij"], [REDACTED]),
        (["--opt=9f86d081884c7d659a2feaa0c55ad015"], [f"--opt={REDACTED}"]),
        (["x" * (MAX_WORD_CHARS + 1)], [REDACTED]),
    ],
)  # fmt: skip
def test_secrets_in_a_command_line_are_hidden(words, hidden):
    """Each form in which programs take secrets; the number of words stays."""
    assert list(command_line(words).words) == hidden
    assert command_line(words).count >= 1


@pytest.mark.parametrize(
    "words",
    [
        ["/usr/bin/python3", "-m", "feed_sync", "--port", "8080", "--interval=30s"],
        ["/usr/lib/jvm/java-11-openjdk-amd64/bin/java", "-Xmx2g", "-jar", "/opt/app-1.2.3.jar"],
        ["postgres: app feed 10.0.0.7(51234) idle in transaction"],
        ["git", "clone", "git@github.com:example/project.git"],
        ["/usr/sbin/sshd", "-D", "-o", "AllowUsers=app"],
        ["grep", "-p", "pattern"],
        ["http://metrics.example:9090/api/v1/query?query=up"],
        [],
        [""],
    ],
)
def test_an_ordinary_command_line_stays_as_it_is(words):
    """A process must still be known by its words."""
    assert list(command_line(words).words) == words
    assert command_line(words).count == 0


def test_a_secret_of_the_environment_is_hidden_in_the_command_line_too():
    """A password that is a plain word is known by its variable's name; a mere path is not one."""
    environ = ["DB_PASSWORD=correcthorse", "KEYSTORE_HOME=/opt/app", "MODE=verbose"]
    words = ["/opt/app/run", "verbose", "x=correcthorse!"]
    assert command_line(words).words[2] == "x=correcthorse!"
    assert command_line(words, environ=environ).words == (
        "/opt/app/run",
        "verbose",
        f"x={REDACTED}!",
    )


def test_a_process_that_writes_the_marker_itself_gains_nothing():
    """`[redacted]` in front of a secret does not protect it, and it is counted."""
    found = command_line([f"--password={REDACTED}hunter2", "--token", f"{REDACTED} hunter2"])
    assert "hunter2" not in "".join(found.words)
    assert found.count == 2
