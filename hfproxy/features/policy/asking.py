"""Asks the Hub for the facts that rules hang on, through what is kept of its answers: so they hold while it is away."""

import json
from collections.abc import Awaitable, Callable

from hfproxy.errors import HubRefused
from hfproxy.features.files.rights import audience
from hfproxy.features.metadata.models import AnswerKey
from hfproxy.features.metadata.service import MetadataService, Spoken
from hfproxy.features.policy.facts import facts_in
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import HubRef

_TOO_MANY_REQUESTS = 429
# No method of HTTP: what is kept under it is ours, and no client's answer.
_METHOD = "FACTS"


def asking(metadata: Callable[[], MetadataService], hub: HubClient) -> Callable[[HubRef, Credential], Awaitable[bytes]]:
    """A function that gives the few fields of a repository's info that are read here.

    It raises HubRefused and other UpstreamErrors as the Hub and what is kept leave no other choice.
    """

    async def ask(ref: HubRef, credential: Credential) -> bytes:
        refused: list[HubRefused] = []

        async def say() -> Spoken:
            try:
                answer = await hub.call("GET", ref.api_path, credential=credential)
            except HubRefused as error:
                if error.status != _TOO_MANY_REQUESTS:
                    raise
                refused.append(error)
                return Spoken(error.status, (), b"")
            facts = facts_in(answer.body, ref)
            card = {"id": facts.repo, "cardData": {"license": list(facts.licences)}}
            return Spoken(200, (), json.dumps(card).encode())

        key = AnswerKey(str(ref.folded), audience(credential), _METHOD, ref.api_path)
        spoken, _ = await metadata().answer(key, credential, say)
        if spoken.status != 200:
            raise refused[0] if refused else HubRefused("the Hub was asked too often", status=spoken.status)
        return spoken.body

    return ask
