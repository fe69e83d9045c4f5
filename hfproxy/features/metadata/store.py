"""Kept answers: the recent ones in memory, all of them in the database."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, bindparam, delete, select

from hfproxy.errors import StorageUnavailable
from hfproxy.features.metadata.models import AnswerKey, KeptAnswer
from hfproxy.storage.database import Database
from hfproxy.storage.pointer_tables import ANSWERS
from hfproxy.storage.upserts import upsert
from hfproxy.upstream.refs import HubRef

log = structlog.get_logger(__name__)

_MEMORY_BYTES = 8 * 1024**2
_FIND = select(ANSWERS).where(ANSWERS.c.digest == bindparam("of"))
_FORGET = delete(ANSWERS).where(ANSWERS.c.repo.in_(bindparam("repos", expanding=True)))
_LISTS = ""  # are kept under no repository's name


class AnswerStore:
    """Keeps answers by their key. A database that cannot be used costs a question to the Hub, no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[str, tuple[str, KeptAnswer]] = OrderedDict()
        self._used = 0

    async def find(self, key: AnswerKey) -> KeptAnswer | None:
        """The answer that was last kept under this key."""
        digest = key.digest
        if (known := self._recent.get(digest)) is not None:
            self._recent.move_to_end(digest)
            return known[1]
        try:
            row = await self._database.read(lambda connection: connection.execute(_FIND, {"of": digest}).first())
        except StorageUnavailable as error:
            log.warning("pointers.unread", reason=error.detail)
            return None
        if row is None:
            return None
        headers = tuple((name, value) for name, value in json.loads(row.headers))
        answer = KeptAnswer(headers, zlib.decompress(row.body), row.said_at_s)
        self._remember(digest, key.repo, answer)
        return answer

    async def keep(self, key: AnswerKey, answer: KeptAnswer) -> None:
        """Keeps an answer in place of the one before it."""
        self._remember(key.digest, key.repo, answer)
        row = {
            "digest": key.digest,
            "repo": key.repo,
            "headers": json.dumps(answer.headers),
            "body": zlib.compress(answer.body, 1),
            "said_at_s": answer.said_at_s,
        }
        try:
            await self._database.write(
                lambda connection: connection.execute(upsert(connection, ANSWERS), [row]), durable=False
            )
        except StorageUnavailable as error:
            log.warning("pointers.unwritten", reason=error.detail, count=1)

    async def forget(self, folded: HubRef) -> None:
        """Forgets all that was said of a repository, and every list; without a namespace, of all of that name."""
        names, ending = {str(folded), _LISTS}, f"/{folded.name}"
        for digest, (of, _) in list(self._recent.items()):
            if of in names or (folded.namespace is None and of.endswith(ending)):
                self._drop(digest)
        if folded.namespace is None:
            of_that_name = delete(ANSWERS).where(ANSWERS.c.repo.endswith(ending, autoescape=True))
            await self._database.write(lambda connection: connection.execute(of_that_name))
        await self._database.write_with_others(_forget, str(folded))

    def _remember(self, digest: str, repo: str, answer: KeptAnswer) -> None:
        self._drop(digest)
        self._recent[digest] = (repo, answer)
        self._used += len(answer.body)
        while self._used > _MEMORY_BYTES:
            self._drop(next(iter(self._recent)))

    def _drop(self, digest: str) -> None:
        if (dropped := self._recent.pop(digest, None)) is not None:
            self._used -= len(dropped[1].body)


def _forget(connection: Connection, repos: Sequence[str]) -> Sequence[None]:
    connection.execute(_FORGET, {"repos": [*repos, _LISTS]})
    return [None] * len(repos)
