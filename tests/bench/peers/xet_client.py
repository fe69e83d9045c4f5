"""Run by a Hub client's own Python: one transfer, and how long it took without the start of the program.

`up REPO FILE NAME` or `down REPO NAME`; what is said is one line of JSON.
"""

import json
import resource
import sys
import time

from huggingface_hub import HfApi, hf_hub_download

match sys.argv[1:]:
    case "up", repo, file, name:
        HfApi().create_repo(repo, exist_ok=True)
        begun = time.perf_counter()
        HfApi().upload_file(path_or_fileobj=file, path_in_repo=name, repo_id=repo)
    case "down", repo, name:
        begun = time.perf_counter()
        hf_hub_download(repo, name)
seconds = time.perf_counter() - begun
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu_s": used.ru_utime + used.ru_stime}))
