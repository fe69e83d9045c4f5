"""Uploads and downloads as the arguments say.

`up REPO FILE NAME`, `pr REPO FILE NAME`, `down REPO NAME TO [REVISION]`, `folder REPO FOLDER`, `snapshot REPO FOLDER`.
"""

import shutil
import sys

from huggingface_hub import HfApi, hf_hub_download, snapshot_download

match sys.argv[1:]:
    case "up", repo, file, name:
        HfApi().create_repo(repo, exist_ok=True)
        HfApi().upload_file(path_or_fileobj=file, path_in_repo=name, repo_id=repo)
    case "pr", repo, file, name:
        print(HfApi().upload_file(path_or_fileobj=file, path_in_repo=name, repo_id=repo, create_pr=True).pr_revision)
    case "folder", repo, folder:
        HfApi().create_repo(repo, exist_ok=True)
        HfApi().upload_folder(folder_path=folder, repo_id=repo)
    case "snapshot", repo, to:
        snapshot_download(repo, local_dir=to)
    case "down", repo, name, to, *revision:
        shutil.copy(hf_hub_download(repo, name, revision=revision[0] if revision else None), to)
