"""Hides secrets in environments and command lines before they become evidence.

Closed by default: the value of an environment variable is hidden unless its name is known to be
harmless and the value does not look like a secret. A command line is needed to know a process
by, so its words stay, except what a name, a shape or the environment gives away: a password
that is a plain word, given to a program that is not in the table below, stays readable.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

REDACTED = "[redacted]"

MAX_WORD_CHARS = 8192
"""A longer word is hidden whole: no pattern runs over unbounded hostile text."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """The same number of words with secrets replaced, and how often something was replaced."""

    words: tuple[str, ...]
    count: int


_HARMLESS = re.compile(
    "COLUMNS|GODEBUG|GOGC|GOMAXPROCS|GOMEMLIMIT|HOME|HOSTNAME|JAVA_HOME|LANG|LANGUAGE|LC_[A-Z]+"
    "|LD_LIBRARY_PATH|LD_PRELOAD|LINES|LISTEN_FDS|LISTEN_PID|LOGNAME|MAINPID|MALLOC_[A-Z_]+"
    "|NODE_ENV|NOTIFY_SOCKET|OLDPWD|OMP_NUM_THREADS|OPENBLAS_NUM_THREADS|PATH|PWD"
    "|PYTHON(?:ASYNCIODEBUG|DEVMODE|DONTWRITEBYTECODE|FAULTHANDLER|HOME|IOENCODING|MALLOC"
    "|MALLOCSTATS|NOUSERSITE|OPTIMIZE|PATH|TRACEMALLOC|UNBUFFERED|UTF8)"
    "|RUNTIME_DIRECTORY|SHELL|SHLVL|STATE_DIRECTORY|SYSTEMD_EXEC_PID|TERM|TMPDIR|TZ|USER"
    "|VIRTUAL_ENV|WATCHDOG_PID|WATCHDOG_USEC|WEB_CONCURRENCY|XDG_RUNTIME_DIR"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

_NAME_PARTS = (
    "KEY|TOKEN|SECRET|PASS|PWD|CRED|AUTH|COOKIE|DSN|PRIVATE|SESSION|SIGNATURE|SALT|JWT|WEBHOOK"
    "|CONN(?:ECTION)?_?STR|DATABASE_URL|LICEN[CS]E|IDENTIFIED BY"
)
_SECRET_NAME = re.compile(_NAME_PARTS, re.IGNORECASE)
_OPTION = re.compile(r"--?[\w.-]+")
_ANNOUNCING = re.compile(
    "password|passwd|passphrase|pass|pwd|secret|token|api[_-]?key", re.IGNORECASE
)

# Every repetition is bounded, or ends a pattern that cannot fail behind it: hostile text costs
# time in proportion to its length.
_QUOTED = r""""(?:\\.|[^"\\])*(?:"|\Z)|'(?:\\.|[^'\\])*(?:'|\Z)|(\\+["']).*?(?:\2|\Z)"""
_VALUE = rf"(?:{_QUOTED}|(?:\\.|\S)+)"
_NAMED_VALUE = re.compile(
    rf"""((?:{_NAME_PARTS})[\w.-]{{0,64}}["'\\]{{0,4}}\s{{0,4}}[:=]\s{{0,4}}){_VALUE}""",
    re.IGNORECASE | re.DOTALL,
)
# `Authorization: Token abc`, `Cookie: a=b; c=d`: a header's value is the rest of the line.
_HEADER = re.compile(
    rf"((?:{_NAME_PARTS})[\w.-]{{0,64}}:[ \t]{{1,4}})[^\s\"'\\][^\r\n]*", re.IGNORECASE
)
_QUOTED_AFTER_NAME = re.compile(
    rf"""((?:{_NAME_PARTS})[\w.-]{{0,64}}\s{{1,4}})(?:{_QUOTED})""", re.IGNORECASE | re.DOTALL
)
_SCHEME_VALUE = re.compile(
    rf"\b((?:Bearer|Basic|Digest|Negotiate)\s{{1,4}}){_VALUE}", re.IGNORECASE | re.DOTALL
)
_PEM = re.compile(
    r"(-----BEGIN )[A-Z0-9 ]{0,40}-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)
_KNOWN_SHAPE = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"  # JSON Web Token
    r"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{12,}"  # Amazon
    r"|\bAIza[\w-]{30,}"  # Google
    r"|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}"  # GitHub, GitLab
    r"|\bxox[a-z]-[\w-]{8,}"  # Slack
    r"|\b[rsp]k[-_][\w-]{16,}"  # Stripe and others
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # a random identifier
)
_SPACE = re.compile(r"(\s+)")
_RUN = re.compile(r"\S+")
_LOGIN = re.compile(r"[^\s:/@]{1,64}:")
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]{16,}")
_DIGIT_INSIDE = re.compile(r"[0-9][A-Za-z]")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")

# Options that carry a secret without saying so, by the beginning of the program's name.
_PROGRAM_OPTIONS = {
    "7z": ("-p",),
    "curl": ("-u", "-U"),
    "docker": ("-p",),
    "ipmitool": ("-P",),
    "ldap": ("-w",),
    "lftp": ("-u",),
    "mariadb": ("-p",),
    "mongo": ("-p",),
    "mycli": ("-p",),
    "mysql": ("-p",),
    "podman": ("-p",),
    "redis-cli": ("-a",),
    "smbclient": ("-U",),
    "snmp": ("-A", "-X", "-c"),
    "sqlcmd": ("-P",),
    "sshpass": ("-p",),
    "unzip": ("-P",),
    "zip": ("-P",),
}
_ORACLE = ("sqlplus", "sqlldr", "rman", "exp", "imp", "expdp", "impdp")
_ORACLE_LOGIN = re.compile(r"([\w$#.]{1,128}/)[^\s@]+")


def environment(words: Sequence[str]) -> Redacted:
    """`NAME=value` words with every value hidden that is not known to be harmless.

    A word that is no assignment to a plain name is hidden whole: a process may have written
    anything over its environment.
    """
    return _redacted(words, [_variable(word) for word in words])


def command_line(words: Sequence[str], *, environ: Sequence[str] = ()) -> Redacted:
    """A command line with its secrets hidden.

    `environ` are the unredacted words of the same process's environment: a value that has a
    secret name there is hidden here as well, wherever it stands.
    """
    known = sorted(set(_named_secrets(environ)), key=len, reverse=True)
    hidden = [
        _word(word, known) if new is None else new
        for word, new in zip(words, _announced(words), strict=True)
    ]
    return _redacted(words, hidden)


def _redacted(words: Sequence[str], hidden: Sequence[str]) -> Redacted:
    """Counts the places that are hidden now; a process may have written `[redacted]` itself."""
    count = 0
    for word, new in zip(words, hidden, strict=True):
        if new != word:
            count += max(1, new.count(REDACTED) - word.count(REDACTED))
    return Redacted(tuple(hidden), count)


def _variable(word: str) -> str:
    name, sign, value = word.partition("=")
    if not sign or _VARIABLE.fullmatch(name) is None or _shapes(name) != name:
        return REDACTED
    if not value or (_HARMLESS.fullmatch(name) and _word(value, ()) == value):
        return word
    return f"{name}={REDACTED}"


def _named_secrets(environ: Sequence[str]) -> Iterator[str]:
    """Values of variables with a secret name, where they are no mere word or path."""
    for word in environ:
        name, _, value = word.partition("=")
        if len(value) < 6 or _HARMLESS.fullmatch(name) or _SECRET_NAME.search(name) is None:
            continue
        # KEYSTORE_HOME=/opt/app must not hide /opt/app/bin/run.
        if not value.startswith("/") or _is_shaped(value):
            yield value


def _announced(words: Sequence[str]) -> Iterator[str | None]:
    """For each word, what replaces it if the words before it make it a secret, else None."""
    options: tuple[str, ...] = ()
    oracle = is_value = False
    for word in words:
        if is_value and word in ("=", ":"):
            yield None
            continue
        # A value that looks like an option is hidden, and still announces what follows it.
        new = REDACTED if is_value else _glued(word, options)
        if new is None and oracle and _ORACLE_LOGIN.match(word):
            new = _ORACLE_LOGIN.sub(rf"\1{REDACTED}", word[:MAX_WORD_CHARS], count=1)
        yield new
        is_value = (
            word in options
            or _ANNOUNCING.fullmatch(word) is not None
            or (_OPTION.fullmatch(word) is not None and _SECRET_NAME.search(word) is not None)
        )
        program = word.rpartition("/")[2]
        named = [flags for start, flags in _PROGRAM_OPTIONS.items() if program.startswith(start)]
        options = named[0] if named else options
        oracle = oracle or program in _ORACLE


def _glued(word: str, options: tuple[str, ...]) -> str | None:
    """`-pSECRET` without its value; None when the word is no such option."""
    for option in options:
        if word.startswith(option) and len(word) > len(option):
            return option + REDACTED
    return None


def _word(word: str, known: Sequence[str]) -> str:
    """One word with what gives itself away hidden."""
    if len(word) > MAX_WORD_CHARS:
        return REDACTED
    for secret in known:
        word = word.replace(secret, REDACTED)
    for pattern in (_PEM, _SCHEME_VALUE, _HEADER, _NAMED_VALUE, _QUOTED_AFTER_NAME):
        word = pattern.sub(rf"\1{REDACTED}", word)
    parts = _SPACE.split(_shapes(word))
    if len(parts) > 1:
        # A whole command in one word, as after `sh -c`; every other part is the space between.
        for index, new in enumerate(_announced(parts[::2])):
            if new is not None and REDACTED not in parts[2 * index]:
                parts[2 * index] = new
    return "".join(parts)


def _shapes(text: str) -> str:
    """Text with logins and random strings hidden, whatever their names."""
    return _TOKEN.sub(_hide_random, _RUN.sub(_hide_login, _KNOWN_SHAPE.sub(REDACTED, text)))


def _is_shaped(value: str) -> bool:
    cut = value[:MAX_WORD_CHARS]
    return _shapes(cut) != cut


def _hide_login(run: re.Match[str]) -> str:
    """`scheme://user:password@host` and `user:password@host`, up to the last @ of the word."""
    word = run[0]
    begin = word.find("://") + 3
    if begin < 3:
        login = _LOGIN.match(word)
        begin = login.end() if login else len(word)
    end = word.rfind("@")
    return word[:begin] + REDACTED + word[end:] if end > begin else word


def _hide_random(token: re.Match[str]) -> str:
    return REDACTED if _is_random(token[0]) else token[0]


def _is_random(token: str) -> bool:
    """Whether a token of 16 or more characters looks drawn at random rather than written.

    Written names keep to one kind of character for a while; in random text lower case, upper
    case and digits alternate: at 62% of the steps in base64, 47% in hexadecimal. Random lower
    case letters alone are not told from words.
    """
    if any(_is_random_run(run) for run in _ALPHANUMERIC.findall(token)):
        return True
    kinds = [1 if c.islower() else 2 if c.isupper() else 3 if c.isdigit() else 0 for c in token]
    changes = sum(a != b and a > 0 and b > 0 for a, b in itertools.pairwise(kinds))
    return len(token) >= 20 and changes >= 0.25 * (len(token) - 1)


def _is_random_run(run: str) -> bool:
    if _HEX.fullmatch(run):
        return len(run) >= 32 or not (run.isdigit() or run.isalpha())
    one_case = run.islower() or run.isupper()
    return one_case and len(run) >= 20 and _DIGIT_INSIDE.search(run) is not None
