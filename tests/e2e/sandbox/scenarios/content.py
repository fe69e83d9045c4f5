"""Commits, trees and history, run inside a client's own environment. Small files only: no bytes leave the Hub."""

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

api, bob = HfApi(token="hf_sandbox_alice"), HfApi(token="hf_sandbox_bob")
REPO = "alice/content"
CARD = b"""---
license: mit
pipeline_tag: text-classification
library_name: transformers
tags: [demo]
---
# A model
"""


def refused(kind, call, *arguments, status=None, match="", **options):
    """The call must fail in just this way."""
    try:
        call(*arguments, **options)
    except kind as error:
        assert status in (None, error.response.status_code), error
        assert match in str(error), error
        return
    raise AssertionError(f"{call.__name__}{arguments} was not refused")


def commit(**files):
    adds = [CommitOperationAdd(path.replace("__", "/"), text) for path, text in files.items()]
    return api.create_commit(REPO, operations=adds, commit_message=f"Add {', '.join(files)}")


def commits():
    api.create_repo(REPO)
    first = api.model_info(REPO).sha
    made = commit(a=b"a", folder__b=b"b", folder__deep__c=b"c")
    assert made.commit_url == f"{api.endpoint}/{REPO}/commit/{made.oid}"
    refused(
        HfHubHTTPError,
        api.create_commit,
        REPO,
        operations=[CommitOperationAdd("x", b"x")],
        commit_message="x",
        parent_commit=first,
        status=412,
        match="The branch was updated since you opened this page",
    )
    assert api.model_info(REPO).sha == made.oid
    api.create_commit(REPO, operations=[CommitOperationDelete("folder/deep/")], commit_message="Delete")
    assert sorted(api.list_repo_files(REPO)) == [".gitattributes", "a", "folder/b"]
    listed = api.list_repo_commits(REPO)
    assert [commit.title for commit in listed] == ["Delete", "Add a, folder__b, folder__deep__c", "initial commit"]
    assert listed[0].authors == ["alice"]
    refused(RevisionNotFoundError, api.list_repo_commits, REPO, revision="nowhere")
    refused(RepositoryNotFoundError, api.list_repo_commits, "alice/nothing")
    refused(
        HfHubHTTPError,
        bob.create_commit,
        REPO,
        operations=[CommitOperationAdd("x", b"x")],
        commit_message="x",
        status=403,
    )


def unchanged_files_make_no_commit():
    before = api.model_info(REPO).sha
    assert commit(a=b"a").oid == before == api.model_info(REPO).sha


def trees():
    tree = {entry.path: entry for entry in api.list_repo_tree(REPO, recursive=True, expand=True)}
    assert sorted(tree) == [".gitattributes", "a", "folder", "folder/b"]
    assert tree["a"].size == 1 and tree["a"].blob_id == "2e65efe2a145dda7ee51d1741299f848e5bf752e"
    assert tree["folder/b"].last_commit["title"].startswith("Add a")
    assert [entry.path for entry in api.list_repo_tree(REPO, "folder")] == ["folder/b"]
    refused(EntryNotFoundError, list, _Lazy(lambda: api.list_repo_tree(REPO, "unknown")))
    found = api.get_paths_info(REPO, ["a", "folder", "nothing"], expand=True)
    assert [entry.path for entry in found] == ["a", "folder"]
    siblings = api.model_info(REPO, files_metadata=True).siblings
    assert [(each.rfilename, each.size) for each in siblings if each.rfilename == "a"] == [("a", 1)]


class _Lazy:
    """Something that fails only when it is read."""

    def __init__(self, read):
        self._read = read

    def __iter__(self):
        return iter(self._read())


def awkward_names():
    names = ["a b.txt", "100%.txt", "a+b?c#d.txt", "ünï/漢字.txt", 'q"uote.txt']
    adds = [CommitOperationAdd(name, name.encode()) for name in names]
    api.create_commit(REPO, operations=adds, commit_message="Awkward names")
    assert set(names) <= set(api.list_repo_files(REPO))
    assert {entry.path for entry in api.get_paths_info(REPO, names)} == set(names)


def cards():
    commit(**{"README.md": CARD})
    told = api.model_info(REPO)
    assert (told.pipeline_tag, told.library_name, told.card_data.license) == (
        "text-classification",
        "transformers",
        "mit",
    )
    assert {"transformers", "text-classification", "demo", "license:mit", "region:us"} <= set(told.tags)
    assert [model.id for model in api.list_models(filter=["license:mit", "demo"])] == [REPO]
    try:
        commit(**{"README.md": b"---\nmodel-index: foo\n---\n"})
    except ValueError as error:
        assert "Invalid metadata in README.md" in str(error), error
    else:
        raise AssertionError("a broken card was taken")


def pull_requests():
    add = CommitOperationAdd("from-bob", b"hello")
    proposed = bob.create_commit(REPO, operations=[add], commit_message="Hello", create_pr=True)
    assert (proposed.pr_num, proposed.pr_revision) == (1, "refs/pr/1")
    assert proposed.pr_url == f"{api.endpoint}/{REPO}/discussions/1"
    assert "from-bob" in api.list_repo_files(REPO, revision="refs/pr/1")
    assert "from-bob" not in api.list_repo_files(REPO)
    again = api.create_commit(
        REPO, operations=[CommitOperationAdd("more", b"more")], commit_message="More", revision="refs/pr/1"
    )
    assert api.model_info(REPO, revision="refs/pr/1").sha == again.oid
    [ref] = api.list_repo_refs(REPO, include_pull_requests=True).pull_requests
    assert (ref.ref, ref.target_commit) == ("refs/pr/1", again.oid)


def squash():
    assert len(api.list_repo_commits(REPO)) > 1
    files = api.list_repo_files(REPO)
    api.super_squash_history(REPO, commit_message="All in one")
    assert [commit.title for commit in api.list_repo_commits(REPO)] == ["All in one"]
    assert api.list_repo_files(REPO) == files


SCENARIOS = [commits, unchanged_files_make_no_commit, trees, awkward_names, cards, pull_requests, squash]

if __name__ == "__main__":
    for scenario in SCENARIOS:
        scenario()
        print("passed", scenario.__name__)
