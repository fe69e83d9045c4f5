"""The certificate that `hfproxy certs` makes."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from hfproxy.certificates import CertificateFiles, read_certificates
from hfproxy.how_to_trust import how_to_trust
from hfproxy.local_authority import NotOurs, make_certificate


def _leaf(folder: Path) -> x509.Certificate:
    return CertificateFiles(folder / "cert.pem", folder / "key.pem").read()


def test_a_leaf_below_an_authority_in_openssls_strictest_view(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, ["hub.example.com", "10.1.2.3", "bücher.example"])
    for name in ("localhost", "127.0.0.1", "::1", "hub.example.com", "10.1.2.3"):
        assert name in made.names
        option = "-verify_ip" if name[0].isdigit() or ":" in name else "-verify_hostname"
        subprocess.run(
            [
                *("openssl", "verify", "-x509_strict", "-purpose", "sslserver", option, name),
                *("-CAfile", tmp_path / "ca.pem", tmp_path / "cert.pem"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    make_certificate(tmp_path, [])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"ca.pem": 0o644, "cert.pem": 0o644, "ca-key.pem": 0o600, "key.pem": 0o600}


def test_making_again_renews_the_leaf_and_keeps_authority_and_names(tmp_path: Path) -> None:
    first = make_certificate(tmp_path, ["hub.example.com"])
    authority, leaf = (tmp_path / "ca.pem").read_bytes(), _leaf(tmp_path)
    second = make_certificate(tmp_path, ["hub2.example.com"])
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert _leaf(tmp_path).serial_number != leaf.serial_number
    assert {"hub.example.com", "hub2.example.com"} <= set(second.names)
    assert (first.new_authority, second.new_authority) == (True, False)


def test_an_authority_near_its_end_is_made_anew(tmp_path: Path) -> None:
    make_certificate(tmp_path, [])
    later = datetime.now(UTC) + timedelta(days=3650 - 396)
    assert make_certificate(tmp_path, [], now=later).new_authority


def _foreign(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/O=Somebody/CN=hub", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("after_ours", [False, True])
def test_what_it_did_not_make_stays(after_ours: bool, tmp_path: Path) -> None:
    if after_ours:
        make_certificate(tmp_path, [])
    _foreign(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(NotOurs, match="was not made here"):
        make_certificate(tmp_path, [])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("missing", ["cert.pem", "ca-key.pem"])
def test_a_lone_file_is_left_alone(missing: str, tmp_path: Path) -> None:
    make_certificate(tmp_path, [])
    (tmp_path / missing).unlink()
    with pytest.raises(NotOurs):
        make_certificate(tmp_path, [])


def test_the_advice_names_every_kind_of_client(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, [])
    advice = how_to_trust(made)
    for word in ("--cacert", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "sslCAInfo", "Firefox", str(tmp_path / "ca.pem")):
        assert word in advice
    assert len(read_certificates(made.authority)) == 1
