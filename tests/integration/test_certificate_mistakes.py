"""A certificate that cannot be used ends the start with one line that says why."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.command import hfproxy


def _serve(folder: Path, **variables: str) -> str:
    done = hfproxy("serve", "--upstream", "sandbox", "--port", "0", cwd=folder, **variables)
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    folder = tmp_path / "certs"
    folder.mkdir()
    _place(Authority(tmp_path), folder)
    return folder


def _place(authority: Authority, folder: Path, *, days: int = 30) -> None:
    files = authority.sign(days=days)
    shutil.copy(files.certificate, folder / "cert.pem")
    shutil.copy(files.key, folder / "key.pem")


def test_a_key_of_another_certificate(certs: Path, tmp_path: Path) -> None:
    shutil.copy(Authority(tmp_path).sign(file="other").key, certs / "key.pem")
    assert "certs/key.pem is not the key of certs/cert.pem" in _serve(tmp_path)


def test_an_expired_certificate(certs: Path, tmp_path: Path) -> None:
    _place(Authority(tmp_path), certs, days=-1)
    assert "certs/cert.pem expired on " in _serve(tmp_path)


def test_a_certificate_of_the_future(certs: Path, tmp_path: Path) -> None:
    files = Authority(tmp_path).sign(starts_in_days=2)
    shutil.copy(files.certificate, certs / "cert.pem")
    shutil.copy(files.key, certs / "key.pem")
    assert "certs/cert.pem is not valid before " in _serve(tmp_path)


def test_an_encrypted_key(certs: Path, tmp_path: Path) -> None:
    locked = certs / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", certs / "key.pem", "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    locked.replace(certs / "key.pem")
    assert "certs/key.pem is encrypted" in _serve(tmp_path)


def test_one_file_without_the_other(certs: Path, tmp_path: Path) -> None:
    (certs / "key.pem").unlink()
    assert "certs/cert.pem is there without certs/key.pem" in _serve(tmp_path)


def test_a_configured_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot read /nowhere/cert.pem: No such file" in _serve(
        tmp_path, HFPROXY_SERVER__TLS_CERTIFICATE="/nowhere/cert.pem"
    )


def test_files_that_hold_something_else(certs: Path, tmp_path: Path) -> None:
    (certs / "key.pem").write_text("-----BEGIN GARBAGE-----")
    assert "certs/key.pem holds no private key" in _serve(tmp_path)
    (certs / "cert.pem").write_bytes(b"\x30\x82")
    assert "certs/cert.pem holds no certificate" in _serve(tmp_path)


def test_an_authority_that_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "corp.pem").write_text("hello")
    assert "corp.pem holds no certificate" in _serve(tmp_path, HFPROXY_UPSTREAM__CA="corp.pem")
    assert "corp.pem holds no certificate" in _serve(tmp_path, SSL_CERT_FILE="corp.pem")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no file in empty holds a certificate" in _serve(tmp_path, HFPROXY_UPSTREAM__CA="empty")


def test_a_client_certificate_with_a_key_of_another(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, other = authority.sign(file="ours"), authority.sign(file="other")
    said = _serve(
        tmp_path,
        HFPROXY_UPSTREAM__CLIENT_CERTIFICATE=str(ours.certificate),
        HFPROXY_UPSTREAM__CLIENT_KEY=str(other.key),
    )
    assert "other-key.pem is not the key of " in said


def test_a_key_in_place_of_its_path_is_refused_and_not_repeated(certs: Path, tmp_path: Path) -> None:
    said = _serve(tmp_path, HFPROXY_SERVER__TLS_KEY_FILE=str(certs / "key.pem"))
    assert "HFPROXY_SERVER__TLS_KEY: must be the path of a PEM file" in said
    assert (certs / "key.pem").read_text().splitlines()[1] not in said


def test_a_proxy_that_is_no_url_is_refused_and_its_password_not_repeated(tmp_path: Path) -> None:
    said = _serve(tmp_path, HTTPS_PROXY="ftp://user:secret-word@proxy.corp")
    assert "HFPROXY_UPSTREAM__PROXY: must be a proxy's URL" in said
    assert "secret-word" not in said


def test_config_check_finds_them_too_and_tells_all_at_once(certs: Path, tmp_path: Path) -> None:
    (certs / "key.pem").write_text("x")
    done = hfproxy("config", "check", cwd=tmp_path, HFPROXY_UPSTREAM__CA="/nowhere")
    assert done.returncode == 78
    assert "certs/key.pem holds no private key" in done.stderr
    assert "cannot read /nowhere" in done.stderr


def test_tls_can_be_switched_off_although_there_is_a_certificate(certs: Path, tmp_path: Path) -> None:
    (certs / "key.pem").write_text("x")
    assert hfproxy("config", "check", cwd=tmp_path, HFPROXY_SERVER__TLS="false").returncode == 0


def test_config_tells_that_the_certificate_was_found_and_hides_the_proxys_password(certs: Path, tmp_path: Path) -> None:
    shown = hfproxy("config", cwd=tmp_path, HTTPS_PROXY="http://user:secret-word@proxy.corp:3128", no_proxy=".corp")
    lines = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert lines["HFPROXY_SERVER__TLS_CERTIFICATE"] == ["certs/cert.pem", "found", "in", "certs/"]
    assert lines["HFPROXY_UPSTREAM__PROXY"] == ["********", "environment,", "HTTPS_PROXY"]
    assert lines["HFPROXY_UPSTREAM__NO_PROXY"] == [".corp", "environment,", "NO_PROXY"]
    assert "secret-word" not in shown.stdout
