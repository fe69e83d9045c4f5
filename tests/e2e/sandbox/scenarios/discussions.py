"""Discussions and pull requests, run inside a client's own environment."""

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.utils import HfHubHTTPError

api, bob = HfApi(token="hf_sandbox_alice"), HfApi(token="hf_sandbox_bob")
REPO = "alice/discussed"


def commit(path, content, *, by=api, revision="main", **options):
    operations = [CommitOperationAdd(path, content)]
    return by.create_commit(REPO, operations=operations, commit_message=f"Add {path}", revision=revision, **options)


def talk():
    api.create_repo(REPO)
    opened = bob.create_discussion(REPO, " How does this work? ", description="I wonder")
    assert (opened.num, opened.title, opened.author, opened.status) == (1, "How does this work?", "bob", "open")
    assert opened.url == f"{api.endpoint}/{REPO}/discussions/1"
    said = api.comment_discussion(REPO, 1, "It **works**")
    edited = api.edit_discussion_comment(REPO, 1, said.id, "It works well")
    assert (edited.edited, edited.content, edited.number_of_edits) == (True, "It works well", 2)
    renamed = bob.rename_discussion(REPO, 1, "Solved")
    assert (renamed.old_title, renamed.new_title) == ("How does this work?", "Solved")
    assert api.hide_discussion_comment(REPO, 1, said.id).hidden
    assert bob.change_discussion_status(REPO, 1, "closed", comment="Thanks").new_status == "closed"
    events = api.get_discussion_details(REPO, 1).events
    assert [event.type for event in events] == ["comment", "comment", "title-change", "comment", "status-change"]
    assert [event.content for event in events if event.type == "comment"] == ["I wonder", "", "Thanks"]


def a_pull_request_is_merged():
    opened = bob.create_pull_request(REPO, "A file of mine")
    assert (opened.num, opened.status, opened.target_branch) == (2, "draft", "refs/heads/main")
    commit("from-bob", b"hello\n", by=bob, revision=opened.git_reference)
    commit("meanwhile", b"x\n")
    bob.change_discussion_status(REPO, 2, "open")
    told = api.get_discussion_details(REPO, 2)
    assert "+hello" in told.diff
    assert "meanwhile" not in told.diff
    assert not told.conflicting_files
    api.merge_pull_request(REPO, 2, comment="Thank you")
    merged = api.get_discussion_details(REPO, 2)
    assert (merged.status, merged.merge_commit_oid) == ("merged", api.model_info(REPO).sha)
    assert {"from-bob", "meanwhile"} < set(api.list_repo_files(REPO))
    assert api.list_repo_commits(REPO)[0].title == "A file of mine (#2)"


def a_conflict_is_told():
    proposed = commit("meanwhile", b"theirs\n", by=bob, create_pr=True)
    assert proposed.pr_num == 3
    commit("meanwhile", b"ours\n")
    told = api.get_discussion_details(REPO, 3)
    assert (told.status, told.title, told.conflicting_files) == ("open", "Add meanwhile", ["meanwhile"])
    try:
        api.merge_pull_request(REPO, 3)
    except HfHubHTTPError as error:
        assert error.response.status_code == 409, error
    else:
        raise AssertionError("a conflict was merged")
    assert [each.num for each in api.get_repo_discussions(REPO)] == [3, 2, 1]


def what_bob_may_not():
    commit("more", b"more\n", by=bob, create_pr=True)
    try:
        bob.merge_pull_request(REPO, 4)
    except HfHubHTTPError as error:
        assert error.response.status_code == 403, error
    else:
        raise AssertionError("who may not write has merged")
    assert api.get_discussion_details(REPO, 4).status == "open"


SCENARIOS = [talk, a_pull_request_is_merged, a_conflict_is_told, what_bob_may_not]

if __name__ == "__main__":
    for scenario in SCENARIOS:
        scenario()
        print("passed", scenario.__name__)
