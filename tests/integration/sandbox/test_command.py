"""`hfproxy sandbox` as a person types it, in its own process."""

import http.client
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.command import environment, hfproxy


def test_it_says_where_it_listens_serves_in_trouble_and_ends_when_told(tmp_path: Path) -> None:
    orders = ["--trouble", "status=503,path=/api/spaces", "--trouble", "cut=100,origin=cdn"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hfproxy", "sandbox", "--port", "0", "--seed", "demo", *orders],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        screen = ""
        while "Ctrl-C" not in screen and (line := process.stderr.readline()):
            screen += line
        [url] = [word for word in screen.split() if word.startswith("http://127")]
        with urllib.request.urlopen(f"{url}/api/models/alice/tiny-sentence-encoder", timeout=10) as answer:
            assert b"sentence-similarity" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/api/spaces", timeout=10)
        with urllib.request.urlopen(f"{url}/bob/digits-mlp/resolve/main/model.onnx", timeout=10) as answer:
            assert len(answer.read(100)) == 100
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trouble", "status=often"], "status"),
        (["--trouble", "path=/api/*"], "it does nothing"),
        (["--tls", "maybe"], "self-signed"),
        (["--tls-cert", "cert.pem"], "needs its key"),
        (["--seed", "flowers"], "demo"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(options: list[str], said: str, tmp_path: Path) -> None:
    done = hfproxy("sandbox", *options, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_a_certificate_that_cannot_be_used_is_told_in_a_line(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    done = hfproxy("sandbox", "--tls-cert", "cert.pem", "--tls-key", "key.pem", cwd=tmp_path)
    assert done.returncode == 78 and "certificate" in done.stderr and "Traceback" not in done.stderr
