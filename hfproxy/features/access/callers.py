"""From what was sent to who it is, and whose token the Hub is asked with."""

from dataclasses import dataclass
from functools import lru_cache

from hfproxy.downstream.access import Caller, Role
from hfproxy.downstream.browsers import KnownHosts
from hfproxy.downstream.credentials import SentSecret
from hfproxy.downstream.forwarded import Origin
from hfproxy.errors import CallerUnknown
from hfproxy.features.access.attempts import FailedAttempts
from hfproxy.features.access.keyring import KeyRing
from hfproxy.features.access.secrets import PREFIX, fingerprint
from hfproxy.upstream.credentials import Credential

# Contract section 1.1: user tokens, short-lived ones (hf_jwt_, hf_oauth_) and those of organisations.
_HUB_TOKENS = ("hf_", "api_org_")


@dataclass(frozen=True, slots=True)
class AnonymousRules:
    """What callers without a key may do. role: None gives all on this machine, until a key is made."""

    role: Role | None
    hosts: KnownHosts
    hosts_named: bool


class Callers:
    """Knows the caller of a request by what they sent."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        attempts: FailedAttempts,
        anonymous: AnonymousRules,
        hub_tokens: bool,
        gateway: Credential,
    ) -> None:
        self._keys, self._attempts, self._anonymous = keys, attempts, anonymous
        self._hub_tokens, self._gateway = hub_tokens, gateway
        # Most callers without a key come from few places, again and again.
        self._nobody_from = lru_cache(maxsize=1024)(self._nobody_in_particular)

    async def identify(self, sent: SentSecret | None, origin: Origin) -> tuple[Caller, Credential]:
        """The caller, and the credential the Hub is asked with. Raises CallerUnknown, TooManyAttempts."""
        if (known := self.known(sent, origin)) is not None:
            return known
        assert sent is not None
        self._attempts.check(origin.address)
        if sent.secret.startswith(PREFIX):
            await self._keys.look()  # it may have been made since the last look
            if (known := self.known(sent, origin)) is not None:
                return known
        self._attempts.count(origin.address)
        raise CallerUnknown("this gateway does not know that key, or it has expired or was revoked")

    def known(self, sent: SentSecret | None, origin: Origin) -> tuple[Caller, Credential] | None:
        """The same without a wait; None for a key that is not known yet. Raises CallerUnknown."""
        if sent is None:
            return self._nobody_from(origin, self._keys.ever_made), self._gateway
        address = _told(origin)
        if sent.secret.startswith(_HUB_TOKENS):
            return self._themselves(sent.secret, address), Credential("caller", sent.secret)
        if (key := self._keys.find(sent.secret)) is None:
            return None
        return Caller(key.name, key.role, "key", key.id, key.repos, address), self._gateway

    def _themselves(self, token: str, address: str | None) -> Caller:
        if not self._hub_tokens:
            raise CallerUnknown("this gateway takes no Hub tokens: ask its administrator for a gateway key (hfp_…)")
        # What they may do on the Hub, the Hub decides; here they are nobody's administrator.
        name = fingerprint(token)
        return Caller(f"hub token {name}", Role.WRITER, "hub_token", name, None, address)

    def _nobody_in_particular(self, origin: Origin, keys_were_made: bool) -> Caller:
        rules = self._anonymous
        role, hint = rules.role, None
        if role is None:
            role, hint = self._on_this_machine(origin, keys_were_made)
        if role is not Role.NONE and (rules.role is None or rules.hosts_named) and origin.host_name not in rules.hosts:
            role, hint = (
                Role.NONE,
                (
                    f"this gateway does not know itself as {origin.host_name}: send a gateway key, or add the name to "
                    "HFPROXY_SERVER__ALLOWED_HOSTS"
                ),
            )
        return Caller("anonymous", role, "anonymous", None, None, _told(origin), hint)

    def _on_this_machine(self, origin: Origin, keys_were_made: bool) -> tuple[Role, str | None]:
        if keys_were_made:
            return Role.NONE, None
        if origin.proxied or (origin.address is not None and not origin.address.is_loopback):
            return Role.NONE, (
                "only programs on this machine may go without a key, and this came through a proxy: send a gateway "
                "key, or say with HFPROXY_ACCESS__ANONYMOUS what callers without one may do"
            )
        return Role.ADMIN, None


def _told(origin: Origin) -> str | None:
    return str(origin.address) if origin.address is not None else None
