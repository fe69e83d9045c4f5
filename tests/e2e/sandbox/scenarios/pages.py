"""More repositories than a page holds, run inside a client's own environment."""

from huggingface_hub import CommitOperationAdd, HfApi

api = HfApi()
names = [f"alice/page-{number}" for number in range(5)]
for name in names:
    api.create_repo(name)
assert sorted(model.id for model in api.list_models(author="alice")) == names
adds = [CommitOperationAdd(f"{number}", b"x") for number in range(5)]
api.create_commit(names[0], operations=adds, commit_message="Five files")
assert sorted(api.list_repo_files(names[0])) == [".gitattributes", "0", "1", "2", "3", "4"]
assert len(api.list_repo_commits(names[0])) == 2
