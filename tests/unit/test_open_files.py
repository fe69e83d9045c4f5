"""A process takes as many open files as the system grants."""

import subprocess
import sys

_PROGRAM = """
import resource
from hfproxy.open_files import allow_many_open_files

resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 512))
allow_many_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limits_after(soft: int) -> str:
    program = _PROGRAM.format(soft=soft)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limits_after(256) == "512 512\n"
    assert limits_after(512) == "512 512\n"
