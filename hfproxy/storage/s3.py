"""Opens a bucket: where it is, who we are, whom we trust."""

import configparser
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hfproxy.starting import CannotStart
from hfproxy.storage.bucket import Bucket

if TYPE_CHECKING:
    from hfproxy.settings import StorageSettings

_CONNECT_TIMEOUT = timedelta(seconds=3)
_RETRY_TIMEOUT = timedelta(seconds=8)


def open_bucket(storage: "StorageSettings", environ: Mapping[str, str] = os.environ) -> Bucket:
    """The bucket that `STORAGE__BLOBS` names; nothing is asked of it yet. Raises CannotStart."""
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise CannotStart("a bucket needs one more package: pip install 'hfproxy[s3]'") from None
    assert storage.blobs is not None
    place = urlsplit(storage.blobs)
    # What is not said here obstore finds itself: in AWS_ variables, or by asking the machine who it is.
    options: dict[str, Any] = {
        "endpoint": storage.s3_endpoint,
        "region": storage.s3_region,
        **_credentials(storage, environ),
    }
    client: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT, "allow_http": _plain(storage, environ)}
    if storage.s3_ca is not None:
        try:
            client["root_certificate"] = storage.s3_ca.read_bytes()
        except OSError as error:
            raise CannotStart(f"HFPROXY_STORAGE__S3_CA: {storage.s3_ca} cannot be read: {error.strerror}") from None
    try:
        store = S3Store(
            place.netloc,
            prefix=place.path.strip("/") or None,
            client_options=client,  # type: ignore[arg-type]
            retry_config={"max_retries": 3, "retry_timeout": _RETRY_TIMEOUT},
            **{name: value for name, value in options.items() if value is not None},
        )
    except Exception as error:  # an edge: whatever the library says of the settings
        raise CannotStart(f"the bucket {storage.blobs} cannot be used: {error}") from None
    return Bucket(store, timeout_s=storage.s3_timeout.total_seconds())


def _plain(storage: "StorageSettings", environ: Mapping[str, str]) -> bool:
    """Whether the operator's own word is to speak without TLS."""
    endpoint = storage.s3_endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    return endpoint.startswith("http://")


def _credentials(storage: "StorageSettings", environ: Mapping[str, str]) -> dict[str, str | None]:
    if storage.s3_access_key is not None and storage.s3_secret_key is not None:
        return {
            "access_key_id": storage.s3_access_key.get_secret_value(),
            "secret_access_key": storage.s3_secret_key.get_secret_value(),
        }
    if environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    return _from_file(environ)


def _from_file(environ: Mapping[str, str]) -> dict[str, str | None]:
    """The profile of AWS's own file, which obstore does not read."""
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    profiles = configparser.RawConfigParser()
    try:
        profiles.read(file)
    except (OSError, configparser.Error) as error:
        raise CannotStart(f"{file} cannot be read: {type(error).__name__}") from None
    profile = environ.get("AWS_PROFILE") or "default"
    if not profiles.has_option(profile, "aws_access_key_id"):
        return {}
    return {
        "access_key_id": profiles.get(profile, "aws_access_key_id"),
        "secret_access_key": profiles.get(profile, "aws_secret_access_key", fallback=None),
        "session_token": profiles.get(profile, "aws_session_token", fallback=None),
    }
