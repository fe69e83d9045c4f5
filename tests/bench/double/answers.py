"""The double's API answers, made beforehand: the account, a created repository, and what a repository holds."""

import json

from tests.bench.double.content import SyntheticFile

COMMIT = "c0ffee" * 6 + "c0ff"
WHOAMI = json.dumps(
    {
        "type": "user",
        "id": "5f0c1a2b3c4d5e6f70819203",
        "name": "alice",
        "fullname": "Alice A.",
        "email": "alice@example.org",
        "emailVerified": True,
        "canPay": False,
        "periodEnd": None,
        "isPro": False,
        "avatarUrl": "/avatars/0123.svg",
        "orgs": [
            {
                "type": "org",
                "id": "60a1b2c3d4e5f60718293041",
                "name": "acme",
                "fullname": "Acme Inc.",
                "email": None,
                "canPay": True,
                "periodEnd": None,
                "plan": "enterprise",
                "avatarUrl": "/avatars/acme.svg",
                "roleInOrg": "write",
            }
        ],
        "auth": {
            "type": "access_token",
            "accessToken": {"displayName": "laptop", "role": "write", "createdAt": "2026-01-02T03:04:05.678Z"},
        },
    }
).encode()
CREATED = json.dumps(
    {"url": "https://huggingface.co/alice/bench", "name": "alice/bench", "id": "67cae56f9b4f4ee4713c83e7"}
).encode()

TAGS = json.dumps(
    {"library": [{"type": "library", "label": f"Library {number}", "id": f"lib-{number}"} for number in range(16)]}
).encode()


def files_of(repo_id: str) -> list[SyntheticFile]:
    """`bench/many-2000x4096` holds 2000 files of 4096 bytes; any other repository says it is empty."""
    count, _, size = repo_id.rpartition("-")[2].partition("x")
    return [SyntheticFile(f"f{number}", int(size)) for number in range(int(count))] if size.isdigit() else []


def repo_info(repo_id: str) -> bytes:
    """`GET /api/models/{id}[/revision/{rev}]` (contract 3.2)."""
    siblings = [{"rfilename": file.name} for file in files_of(repo_id)]
    return json.dumps(
        {
            "_id": "67cae56f9b4f4ee4713c83e7",
            "id": repo_id,
            "modelId": repo_id,
            "private": False,
            "gated": False,
            "disabled": False,
            "sha": COMMIT,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }
    ).encode()


def tree(repo_id: str) -> bytes:
    """`GET /api/models/{id}/tree/{rev}` (contract 3.3), on one page."""
    return json.dumps(
        [
            {"type": "file", "oid": file.git_oid, "size": file.size_bytes, "path": file.name}
            for file in files_of(repo_id)
        ]
    ).encode()
