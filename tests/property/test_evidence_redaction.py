"""Secrets planted in a process's words are in no byte of the bundle."""

import os
import string
import tempfile

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from forestall.evidence.bundle import BundleWriter
from forestall.evidence.redact import command_line, environment
from forestall.evidence.verify import verify

SECRET_PARTS = (
    "KEY", "TOKEN", "SECRET", "PASS", "PASSWORD", "PWD", "CREDENTIAL", "AUTH", "COOKIE", "DSN",
    "PRIVATE", "SESSION",
)  # fmt: skip
# A word that is in no other text of the bundle and has nothing of a secret but its place.
PLAIN = st.text(string.ascii_lowercase, min_size=8, max_size=30).map(lambda text: f"zq{text}qz")
NAME = st.builds(
    lambda before, part, after, change: change(before + part + after),
    st.sampled_from(["", "DB_", "APP_", "X"]),
    st.sampled_from(SECRET_PARTS),
    st.sampled_from(["", "_ID", "S", "_FILE"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
RANDOM = st.integers(0, 2**32).map(lambda seed: token(seed))
QUIET = st.sampled_from(["run", "--port", "8080", "-v", "--interval=30s", "/usr/bin/python3"])

FORMS = (
    lambda secret, name: [f"--{name}", secret],
    lambda secret, name: [f"-{name}", secret],
    lambda secret, name: [f"--{name}={secret}"],
    lambda secret, name: [f"{name}={secret}"],
    lambda secret, name: [f"{name}: {secret} {secret}"],
    lambda secret, name: [f'{{"{name}": "{secret}", "x": 1}}'],
    lambda secret, name: [f"sh -c run --{name} {secret}"],
    lambda secret, name: [f"export {name}='{secret} {secret}'; run"],
    lambda secret, name: [f"http://host/path?{name}={secret}&x=1"],
    lambda secret, _: ["mysql", f"-p{secret}"],
    lambda secret, _: ["sshpass", "-p", secret, "ssh", "host"],
    lambda secret, _: ["curl", "-u", f"user:{secret}", "http://host/"],
    lambda secret, _: [f"postgres://user:{secret}@host/db"],
    lambda secret, _: [f"--url=amqp://{secret}:x@host"],
    lambda secret, _: [f"user:{secret}@host"],
    lambda secret, _: ["-H", f"Authorization: Bearer {secret}"],
    lambda secret, _: [f"x Basic {secret}"],
    lambda secret, _: [f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----"],
)  # fmt: skip


def token(seed):
    """Forty characters drawn from base64's alphabet, the same for the same seed."""
    letters = string.ascii_letters + string.digits + "+/"
    state = seed
    drawn = []
    for _ in range(40):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        drawn.append(letters[(state >> 33) % 64])
    return "".join(drawn)


def bundle_bytes(environ, words):
    """Every byte of the names and files of a bundle of these words."""
    everything = b""
    with tempfile.TemporaryDirectory() as folder:
        with BundleWriter(
            folder, host="db1", subject="s", clock=FakeClock(), free=lambda _: 10**12
        ) as bundle:
            for name, hidden in (
                ("process/environ.json", environment(environ)),
                ("process/cmdline.json", command_line(words, environ=environ)),
            ):
                bundle.add_json(name, list(hidden.words), source=name, redaction_count=hidden.count)
            path = bundle.seal().path
        assert verify(path) == []
        for inside, folders, names in os.walk(path):
            everything += " ".join([inside, *folders, *names]).encode()
            for name in names:
                with open(os.path.join(inside, name), "rb") as file:
                    everything += file.read()
    return everything


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(VARIABLE, PLAIN), max_size=4),
    st.lists(st.tuples(st.integers(0, len(FORMS) - 1), PLAIN, NAME), min_size=1, max_size=3),
    st.lists(RANDOM, max_size=2),
    st.lists(QUIET, max_size=3),
)
def test_planted_secrets_are_in_no_byte_of_the_bundle(variables, planted, tokens, quiet):
    """Any variable off the short list, every option form, and random strings anywhere."""
    environ = [f"{name}={secret}" for name, secret in variables]
    environ += [f"HOME={secret}" for secret in tokens]
    words = list(quiet)
    for form, secret, name in planted:
        event(f"form {form}")
        words += FORMS[form](secret, name)
    words += [word for secret in tokens for word in (secret, f"--opt={secret}", f"a {secret} b")]
    canaries = [secret for _, secret in variables] + [secret for _, secret, _ in planted] + tokens
    everything = bundle_bytes(environ, words)
    for canary in canaries:
        assert canary.encode() not in everything


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=200), max_size=6), st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_redacted_word_by_word(words, environ):
    """Whatever a process writes: as many words out as in, and what changed is counted."""
    for given_words, found in (
        (words, command_line(words, environ=environ)),
        (environ, environment(environ)),
    ):
        assert len(found.words) == len(given_words)
        changed = sum(a != b for a, b in zip(given_words, found.words, strict=True))
        assert found.count >= changed
        assert (found.count == 0) == (changed == 0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60_000), st.booleans(), st.text(max_size=300)), max_size=12),
    st.integers(16 * 1024, 100_000),
)
def test_a_bundle_never_exceeds_its_limit(entries, max_bytes):
    """Whatever is added: all files together stay within the limit, verify, and nothing is lost
    without a word."""
    with tempfile.TemporaryDirectory() as folder:
        with BundleWriter(
            folder,
            host="db1",
            subject="s" * 5000,
            clock=FakeClock(),
            max_bytes=max_bytes,
            free=lambda _: 10**12,
        ) as bundle:
            for number, (size, as_json, source) in enumerate(entries):
                if as_json:
                    bundle.add_json(f"e{number}", "x" * size, source=source)
                else:
                    bundle.add(f"e{number}", b"x" * size, source=source)
                    bundle.missing(source)
            result = bundle.seal()
        sizes = [
            os.path.getsize(os.path.join(inside, name))
            for inside, _, names in os.walk(result.path)
            for name in names
        ]
        assert sum(sizes) <= max_bytes
        assert verify(result.path) == []
        kept = {entry.name: entry for entry in result.manifest.entries}
        said = " ".join(result.manifest.missing)
        for number, (size, as_json, _) in enumerate(entries):
            entry = kept.get(f"e{number}")
            whole = size + 3 if as_json else size
            if entry is None:
                assert f"e{number}: " in said or "more could not be kept" in said
            else:
                assert entry.truncated == (entry.size_bytes < whole)
