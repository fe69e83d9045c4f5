"""What a person does with repositories, run inside a client's own environment: any generation from 0.36 on."""

from huggingface_hub import HfApi, __version__
from huggingface_hub.utils import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

ALICE, READER, BOB = "hf_sandbox_alice", "hf_sandbox_alice_read", "hf_sandbox_bob"
NEW = int(__version__.split(".")[0]) >= 1
api, bob, nobody = HfApi(token=ALICE), HfApi(token=BOB), HfApi(token=False)


def refused(kind, call, *arguments, status=None, match="", **options):
    """The call must fail in just this way."""
    try:
        call(*arguments, **options)
    except kind as error:
        assert status in (None, error.response.status_code), error
        assert match in str(error), error
        return error
    raise AssertionError(f"{call.__name__}{arguments} was not refused")


def who_am_i():
    told = api.whoami()
    assert told["name"] == "alice"
    assert [org["name"] for org in told["orgs"]] == ["acme"]
    assert HfApi(token=READER).whoami()["auth"]["accessToken"]["role"] == "read"
    # 0.36 wraps the answer in the error class of its HTTP library.
    refused(OSError if not NEW else HfHubHTTPError, HfApi(token="hf_nobody").whoami, match="nvalid")


def create_and_delete():
    url = api.create_repo("demo")
    assert (url.repo_id, url.repo_type, str(url)) == ("alice/demo", "model", f"{api.endpoint}/alice/demo")
    refused(HfHubHTTPError, api.create_repo, "demo", status=409, match="You already created this model repo")
    assert api.create_repo("demo", exist_ok=True).repo_id == "alice/demo"
    assert bob.create_repo("alice/demo", exist_ok=True).repo_id == "alice/demo"
    refused(HfHubHTTPError, bob.create_repo, "alice/other", status=403, match="You don't have the rights")
    refused(HfHubHTTPError, HfApi(token=READER).create_repo, "other", status=403)
    dataset = api.create_repo("acme/demo", repo_type="dataset", private=True)
    assert str(dataset) == f"{api.endpoint}/datasets/acme/demo"
    space = api.create_repo("demo", repo_type="space", space_sdk="gradio")
    assert api.space_info(space.repo_id).sdk == "gradio"
    assert api.repo_exists("alice/demo") and api.repo_exists("ALICE/Demo")
    for kind in ("dataset", "space"):
        api.delete_repo("acme/demo" if kind == "dataset" else "demo", repo_type=kind)
    refused(RepositoryNotFoundError, api.delete_repo, "demo", repo_type="dataset")
    api.delete_repo("demo", repo_type="dataset", missing_ok=True)
    refused(HfHubHTTPError, bob.delete_repo, "alice/demo", status=403)
    api.delete_repo("demo")
    assert not api.repo_exists("alice/demo")


def kernels():
    if NEW:
        assert api.create_repo("kern", repo_type="kernel").repo_type == "kernel"
        api.delete_repo("kern", repo_type="kernel")


def visibility():
    api.create_repo("hidden", private=True)
    assert api.model_info("alice/hidden").private is True
    refused(RepositoryNotFoundError, bob.model_info, "alice/hidden", status=404)
    refused(HfHubHTTPError, nobody.model_info, "alice/hidden", status=401)
    api.update_repo_settings("alice/hidden", private=False)
    assert nobody.model_info("alice/hidden").private is False
    api.update_repo_settings("alice/hidden", gated="manual")
    assert nobody.model_info("alice/hidden").gated == "manual"
    api.delete_repo("hidden")


def move():
    api.create_repo("old")
    api.create_repo("taken")
    refused(HfHubHTTPError, api.move_repo, "alice/old", "alice/taken", match="already exists")
    api.move_repo("alice/old", "acme/new")
    assert api.model_info("alice/old").id == "acme/new"
    api.delete_repo("acme/new")
    api.delete_repo("taken")


def gated_access():
    api.create_repo("gated")
    refused(HfHubHTTPError, api.grant_access, "alice/gated", "bob", status=400)
    api.update_repo_settings("alice/gated", gated="auto")
    assert not list(api.list_accepted_access_requests("alice/gated"))
    refused(HfHubHTTPError, bob.list_pending_access_requests if not NEW else _first_pending, "alice/gated", status=403)
    api.grant_access("alice/gated", "bob")
    refused(HfHubHTTPError, api.grant_access, "alice/gated", "bob", status=400)
    [granted] = api.list_accepted_access_requests("alice/gated")
    assert (granted.username, granted.email, granted.status) == ("bob", None, "accepted")
    bob.auth_check("alice/gated")
    api.cancel_access_request("alice/gated", "bob")
    refused(HfHubHTTPError, bob.auth_check, "alice/gated", status=403, match="awaiting a review")
    api.reject_access_request("alice/gated", "bob", rejection_reason="no")
    assert [each.username for each in api.list_rejected_access_requests("alice/gated")] == ["bob"]
    api.accept_access_request("alice/gated", "bob")
    bob.auth_check("alice/gated")
    api.delete_repo("gated")


def _first_pending(repo_id):
    return list(bob.list_pending_access_requests(repo_id))


def branches_and_tags():
    api.create_repo("refs")
    first = api.model_info("alice/refs").sha
    api.create_branch("alice/refs", branch="feature/x")
    refused(
        HfHubHTTPError,
        api.create_branch,
        "alice/refs",
        branch="feature/x",
        status=409,
        match="refs/heads/feature/x already exists",
    )
    api.create_branch("alice/refs", branch="feature/x", exist_ok=True)
    refused(RevisionNotFoundError, api.create_branch, "alice/refs", branch="y", revision="nowhere")
    api.create_tag("alice/refs", tag="v1", tag_message="the first")
    api.create_tag("alice/refs", tag="short", revision=first[:7])
    refused(HfHubHTTPError, api.create_tag, "alice/refs", tag="v1", status=409)
    refused(HfHubHTTPError, api.create_tag, "alice/refs", tag="not a tag", status=400)
    refs = api.list_repo_refs("alice/refs", include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "feature/x": first}
    assert [ref.ref for ref in refs.tags] == ["refs/tags/short", "refs/tags/v1"] and refs.pull_requests == []
    assert api.model_info("alice/refs", revision="v1").sha == first
    assert api.revision_exists("alice/refs", "feature/x") and not api.revision_exists("alice/refs", "feature/y")
    api.delete_tag("alice/refs", tag="v1")
    refused(RevisionNotFoundError, api.delete_tag, "alice/refs", tag="v1")
    api.delete_branch("alice/refs", branch="feature/x")
    refused(
        HfHubHTTPError,
        api.delete_branch,
        "alice/refs",
        branch="main",
        status=403,
        match="Cannot delete refs/heads/main",
    )
    refused(RevisionNotFoundError, api.delete_branch, "alice/refs", branch="feature/x", match="Invalid rev id")
    api.delete_repo("refs")


def likes_and_people():
    api.create_repo("liked")
    refused(RepositoryNotFoundError, api.unlike, "alice/nothing")
    api.unlike("alice/liked")
    assert api.list_liked_repos().total == 0 and list(api.list_repo_likers("alice/liked")) == []
    assert api.get_user_overview("alice").num_models == 1
    assert api.get_organization_overview("acme").num_users == 2
    assert sorted(user.username for user in api.list_organization_members("acme")) == ["alice", "bob"]
    api.delete_repo("liked")


def collections():
    api.create_repo("thing")
    made = api.create_collection("Fine things", description="all of them", private=True)
    assert made.slug.startswith("alice/fine-things-") and made.items == []
    assert api.create_collection("Fine things", exists_ok=True).slug == made.slug
    refused(HfHubHTTPError, bob.get_collection, made.slug, status=404)
    api.add_collection_item(made.slug, "alice/thing", "model", note="the one")
    refused(HfHubHTTPError, api.add_collection_item, made.slug, "alice/thing", "model", status=409)
    refused(HfHubHTTPError, api.add_collection_item, made.slug, "alice/thing", "dataset", status=404)
    [item] = api.get_collection(made.slug).items
    assert (item.item_id, item.item_type, item.note) == ("alice/thing", "model", "the one")
    renamed = api.update_collection_metadata(made.slug, title="Finer things", private=False)
    assert renamed.slug != made.slug and bob.get_collection(made.slug).title == "Finer things"
    assert [each.slug for each in bob.list_collections(owner="alice")] == [renamed.slug]
    api.delete_collection_item(made.slug, item.item_object_id)
    api.delete_collection(made.slug)
    api.delete_collection(made.slug, missing_ok=True)
    api.delete_repo("thing")


def lists():
    for name in ("list-a", "list-b", "list-c"):
        api.create_repo(name)
    assert {model.id for model in nobody.list_models(author="alice")} == {f"alice/list-{x}" for x in "abc"}
    assert [model.id for model in nobody.list_models(search="LIST-B")] == ["alice/list-b"]
    assert len(list(nobody.list_models(limit=2, sort="downloads"))) == 2
    [model] = nobody.list_models(search="list-a", expand=["sha", "gated", "trendingScore"])
    assert (model.sha, model.gated, model.trending_score) == (api.model_info(model.id).sha, False, 0)
    refused(HfHubHTTPError, nobody.model_info, "alice/list-a", expand=["nothing"], status=400, match="must be one of [")
    for name in ("list-a", "list-b", "list-c"):
        api.delete_repo(name)


SCENARIOS = [
    who_am_i,
    create_and_delete,
    kernels,
    visibility,
    move,
    gated_access,
    branches_and_tags,
    likes_and_people,
    collections,
    lists,
]

if __name__ == "__main__":
    for scenario in SCENARIOS:
        scenario()
        print("passed", scenario.__name__)
