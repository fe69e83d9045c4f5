"""What to do with a local authority, for each program that has to trust it."""

from hfproxy.local_authority import MadeCertificate

_TEXT = """\
{folder}/cert.pem and {folder}/key.pem: valid until {until:%Y-%m-%d} for {names}.
`hfproxy serve` finds them there and serves HTTPS; a running one takes them over within seconds.
{authority_news}

Trust it
  curl                     curl --cacert {ca} https://localhost:8080/api/account
  huggingface_hub 1.x, 2.x export SSL_CERT_FILE={ca}
    and hf, hf_xet
  huggingface_hub 0.x,     export REQUESTS_CA_BUNDLE={ca}
    requests
  git                      git config --global http.https://localhost:8080/.sslCAInfo {ca}
  Debian, Ubuntu           sudo cp {ca} /usr/local/share/ca-certificates/hfproxy.crt && sudo update-ca-certificates
  Fedora                   sudo cp {ca} /etc/pki/ca-trust/source/anchors/hfproxy.pem && sudo update-ca-trust
  macOS                    security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {ca}
  Windows                  certutil -user -addstore Root {ca}
  Firefox                  Settings, Privacy & Security, View Certificates, Authorities, Import

The two variables replace what a program trusts, so other sites fail in that shell. Trusting the authority for the whole
system (Debian to Windows above) adds to it. Keep {folder}/ca-key.pem to yourself: who has it can pose as any site
before those who trust {folder}/ca.pem."""


def how_to_trust(made: MadeCertificate) -> str:
    """What was made, and the lines to type."""
    news = (
        f"The authority {made.authority} is new: trust it once."
        if made.new_authority
        else f"The authority {made.authority} is the one from before: whoever trusts it need do nothing."
    )
    return _TEXT.format(
        folder=made.folder,
        until=made.valid_until,
        names=", ".join(made.names),
        authority_news=news,
        ca=made.authority.resolve(),
    )
