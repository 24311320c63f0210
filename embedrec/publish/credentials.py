"""Parse a URL before any client library does: the form that may be shown, its secrets, and malformed URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import normalize

from embedrec.errors import SettingsError

HIDDEN = "***"
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s]*)@")  # up to the last "@" of a word
_SECRET_KEY = re.compile(
    r"(?P<key>[\w.-]*(?:pass|pwd|secret|token|key|auth|credential)[\w.-]*)=(?P<value>[^&\s#'\"]+)", re.IGNORECASE
)
_HARMLESS = frozenset(  # parameters of the Redis client and of libpq; the values of all others are hidden
    re.findall(
        r"\w+",
        "db ssl_cert_reqs ssl_ca_certs ssl_ca_path ssl_certfile ssl_keyfile ssl_check_hostname ssl_min_version "
        "socket_timeout socket_connect_timeout socket_keepalive retry_on_timeout max_connections protocol username "
        "health_check_interval client_name host hostaddr port dbname user passfile require_auth channel_binding "
        "connect_timeout client_encoding options application_name keepalives keepalives_idle keepalives_interval "
        "keepalives_count tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey sslrootcert sslcrl "
        "sslcrldir sslsni ssl_min_protocol_version ssl_max_protocol_version requirepeer gssencmode krbsrvname service "
        "target_session_attrs load_balance_hosts timeout",
    )
)
_NOT_PLAIN = re.compile(r"[/#?\[\]@\s\x00-\x1f]|%(?![0-9a-fA-F]{2})|%00")
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
_USER_SCHEMES = ("postgresql://", "postgres://")  # elsewhere a user name without a password may be a token


@dataclass(frozen=True)
class Url:
    """The parts of a URL.

    scheme  with its "://"; "" if there is none, and everything is in path
    user    the text before the last "@": name:password; None without an "@"
    host    with its port
    path    from its "/"
    tail    from the first "?" or "#" after the path
    """

    scheme: str
    user: str | None
    host: str
    path: str
    tail: str

    @classmethod
    def of(cls, text: str) -> Url:
        start, colon, rest = text.partition("://")
        if not colon:
            return cls("", None, "", text, "")
        user = None
        if "@" in rest and not rest.startswith("/"):
            user, _, rest = rest.rpartition("@")
        match = re.match(r"(?s)([^/?#]*)([^?#]*)(.*)", rest)
        host, path, tail = ("", "", "") if match is None else match.groups()
        return cls(start + colon, user, host, path, tail)

    def check(self, variable: str) -> None:
        """Raises SettingsError, without citing the URL, for a URL that a client library would parse differently.

        variable  the environment variable that can hold the password instead
        """
        if not self._plain_user:
            raise SettingsError(
                "the password in the URL contains a character that must be percent-encoded (such as / as %2F); "
                f"encode it, or set {variable}"
            )
        if not self._plain_host:
            raise SettingsError(
                "the port in the URL is not a number; write the URL as scheme://user:password@host:port"
            )

    @property
    def shown(self) -> str:
        """The URL as it may be shown."""
        if not self.scheme:
            return HIDDEN if re.search(r":.*@", self.path, re.DOTALL) else without_secrets(self.path)
        if not (self._plain_user and self._plain_host):
            return self.scheme + HIDDEN  # the end of the password is ambiguous
        user = "" if self.user is None else _shown_user(self.scheme, self.user) + "@"
        tail = "&".join(_shown_parameter(word) for word in self.tail.split("&")) if self.tail else ""
        return f"{self.scheme}{user}{self.host}{self.path}{tail}"

    @property
    def secrets(self) -> set[str]:
        """The password, and the values of all parameters outside the list of harmless ones."""
        values = [word.partition("=") for word in self.tail.lstrip("?#").split("&")]
        hidden = {value or key for key, _, value in values if not _is_harmless(key, value)}
        return (hidden | {(self.user or "").partition(":")[2]}) - {""}

    @property
    def _plain_user(self) -> bool:
        user = self.user or ""
        return not (_NOT_PLAIN.search(user) or _NOT_PLAIN.search(normalize("NFKC", user)))

    @property
    def _plain_host(self) -> bool:
        return all(_HOST.fullmatch(host) for host in self.host.split(","))


def without_secrets(text: str) -> str:
    """Replace the passwords and tokens of all URLs in a text; user names remain.

    A name without a password remains in URLs of PostgreSQL; elsewhere it may be a token and is hidden.
    """

    def user(match: re.Match[str]) -> str:
        return f"{match['scheme']}{_shown_user(match['scheme'], match['user'])}@"

    def value(match: re.Match[str]) -> str:
        return match[0] if match["key"].lower() in _HARMLESS else f"{match['key']}={HIDDEN}"

    return _SECRET_KEY.sub(value, _USERINFO.sub(user, text))


def secret_values(text: str) -> set[str]:
    """The values after words such as `password=`."""
    return {m["value"] for m in _SECRET_KEY.finditer(text) if m["key"].lower() not in _HARMLESS}


def _shown_user(scheme: str, user: str) -> str:
    name, colon, _ = user.partition(":")
    if colon:
        return f"{name}:{HIDDEN}"
    return name if scheme in _USER_SCHEMES else HIDDEN


def _shown_parameter(word: str) -> str:
    """`?key=value` or `key=value`, its value hidden if it could be a secret."""
    key, equals, value = word.partition("=")
    start = key[:1] if key[:1] in ("?", "#") else ""
    if _is_harmless(key[len(start) :], value):
        return word
    return f"{key}={HIDDEN}" if equals else start + HIDDEN


def _is_harmless(key: str, value: str) -> bool:
    return key.lower() in _HARMLESS and "#" not in value
