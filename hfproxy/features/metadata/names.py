"""Where names lead, as the Hub last said: kept for limited keys, for the time when the Hub cannot be asked."""

import json
import time
from dataclasses import replace

from hfproxy.features.files.rights import BROUGHT, EVERYBODY, audience
from hfproxy.features.metadata.models import AnswerKey, KeptAnswer
from hfproxy.features.metadata.store import AnswerStore
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import BadReference, RepoRef

# No method of HTTP: what is kept under it is ours, and no client's answer.
_METHOD = "NAME"


class KeptNames:
    """What a name led to, for each credential; and for all that the repository infos say which are kept for clients."""

    def __init__(self, store: AnswerStore, *, stale_s: float, offline: bool) -> None:
        self._store, self._stale_s, self._offline = store, stale_s, offline

    async def keep(self, ref: RepoRef, credential: Credential, real: RepoRef) -> None:
        """Keeps what the Hub said just now."""
        said = json.dumps({"id": real.repo_id}).encode()
        await self._store.keep(_key(ref, credential), KeptAnswer((), said, time.time()))

    async def find(self, ref: RepoRef, credential: Credential) -> RepoRef | None:
        """What it said last, to this credential or to everybody; None if that is not kept, or too old."""
        asked = _key(ref, credential)
        audiences = dict.fromkeys((asked.audience, EVERYBODY, *((BROUGHT,) if self._offline else ())))
        for key in (asked, *(replace(asked, method="GET", target=target) for target in _infos(ref))):
            for who in audiences:
                kept = await self._store.find(replace(key, audience=who))
                if kept is not None and kept.younger_than(self._stale_s) and (real := _read(ref, kept)) is not None:
                    return real
        return None


def _key(ref: RepoRef, credential: Credential) -> AnswerKey:
    return AnswerKey(str(ref.folded), audience(credential), _METHOD, ref.folded.api_path)


def _infos(ref: RepoRef) -> tuple[str, ...]:
    """The questions whose answers tell the name, and that clients ask most."""
    return ref.api_path, f"{ref.api_path}/revision/main"


def _read(ref: RepoRef, kept: KeptAnswer) -> RepoRef | None:
    try:
        return RepoRef.parse(ref.repo_type, json.loads(kept.body)["id"])
    except (ValueError, KeyError, TypeError, BadReference):
        return None
