"""May this caller have this file? The one place that says so, for answers that wait and for those given at once."""

from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Caller, Role, require
from hfproxy.features.access.decisions import require_repos
from hfproxy.features.access.real_names import RealNames
from hfproxy.features.policy.limits import Limits
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.roads import file_of
from hfproxy.features.policy.service import Policy, SizeOf
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import FileRef


class Admission:
    """What the gateway itself allows; whether the Hub lets them read it is another question (`rights.py`)."""

    def __init__(self, *, real_names: RealNames, policy: Policy, limits: Limits) -> None:
        self._real_names, self._policy, self._limits = real_names, policy, limits

    async def admit(self, caller: Caller, ref: FileRef, credential: Credential, *, size_of: SizeOf) -> None:
        """Passes if the caller may have it. size_of: tells its size, if a rule wants it.

        Raises CallerUnknown, CallerNotAllowed, PolicyDenied, UpstreamError.
        """
        require_repos(caller, Role.READER, ref.repo)
        await self._real_names.check(caller, ref.repo, credential=credential)
        await self._policy.require(
            caller, Action.READ, ref.repo, credential=credential, file=file_of(ref), size_of=size_of
        )

    def recall(self, caller: Caller, ref: FileRef, credential: Credential, *, size_bytes: int) -> bool:
        """Whether they may, if nothing has to be asked for it; False: no, or ask `admit`.

        Raises CallerUnknown, CallerNotAllowed. What `admit` comes to ask, this must know or say no.
        """
        if caller.repos is not None:
            return False  # where a name leads is asked of the Hub
        require(caller, Role.READER)
        if self._limits.of(caller) is not None:
            return False  # what they take is counted, and may have to wait
        if self._policy.rules is None:
            return True  # spares the path's one spelling
        return self._policy.recall_file(caller, ref.repo, file_of(ref), size_bytes, credential)


ADMISSION: Final = web.AppKey("admission", Admission)
