"""Settings gathered from flags, the environment, secret files and `.env`, with a note of where each came from.

Of several, the first wins: a command-line flag · the environment (`HFPROXY_…`, then the older names, then `…_FILE`) ·
`.env` in the same order · a certificate found in `certs/` · the default. A name that begins with `HFPROXY_` and means
nothing is an error: a misspelt lock leaves the door open.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, ByteSize, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from hfproxy.settings import DELIMITER, OTHER_NAMES, PREFIX, Settings

# Kubernetes adds these for a service called `hfproxy`: they are not ours, and no mistake of the operator's.
_SERVICE_LINK = re.compile(r"HFPROXY_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")

_CERTIFICATE = "HFPROXY_SERVER__TLS_CERTIFICATE"
_KEY = "HFPROXY_SERVER__TLS_KEY"


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting: its variable, its place (`group`, `name`) and pydantic's description of it."""

    variable: str
    group: str
    name: str
    field: FieldInfo

    @property
    def secret(self) -> bool:
        return "SecretStr" in repr(self.field.annotation)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and for each variable that was given, where it came from."""

    settings: Settings
    origins: Mapping[str, str]

    def value(self, knob: Knob) -> Any:
        return getattr(getattr(self.settings, knob.group), knob.name)

    def shown(self, knob: Knob) -> str:
        """The value as a person may see it: a secret only as the fact that it is set."""
        value = self.value(knob)
        if value is None:
            return ""
        if isinstance(value, SecretStr):
            return "********"
        return knob_text(value)


class BadSettings(Exception):
    """Settings that cannot be used: `problems` holds one readable line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def knobs() -> Iterator[Knob]:
    """Every setting there is, group by group."""
    for group, group_field in Settings.model_fields.items():
        group_model = group_field.annotation
        assert isinstance(group_model, type)
        assert issubclass(group_model, BaseModel)
        for name, field in group_model.model_fields.items():
            yield Knob(f"{PREFIX}{group}{DELIMITER}{name}".upper(), group, name, field)


def knob_text(value: object) -> str:
    """A value as it is written in `.env`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return value.human_readable(separator="") if value else "0"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.15g}s"
    if isinstance(value, list | tuple):
        return ", ".join(str(member) for member in value)
    return "" if value is None else str(value)


def load_settings(
    *,
    environ: Mapping[str, str],
    dotenv: Path | None = Path(".env"),
    flags: Mapping[str, str] | None = None,
    certs: Path | None = None,
) -> LoadedSettings:
    """The settings of this process. Raises BadSettings with a line for each problem.

    flags: variables (`HFPROXY_SERVER__PORT`) that the command line sets. certs: a folder whose `cert.pem` and `key.pem`
    are served with, unless the settings say otherwise.
    """
    known = {knob.variable for knob in knobs()}
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    layers: list[tuple[str, Mapping[str, str]]] = [("command line", flags or {}), ("environment", environ)]
    if dotenv is not None:
        try:
            layers.append((str(dotenv), _written_in(dotenv)))
        except BadSettings as error:
            problems += error.problems
    for origin, variables in layers:
        problems += [f"{name}: there is no such setting ({origin})" for name in unknown_names(variables, known)]
        try:
            given = _canonical(variables, known)
        except BadSettings as error:
            problems += error.problems
            continue
        for variable, (written_as, value) in given.items():
            if variable not in values:
                values[variable] = value
                origins[variable] = origin if written_as == variable else f"{origin}, {written_as}"
    if certs is not None and _CERTIFICATE not in values and _KEY not in values:
        try:
            found = certificate_in(certs)
        except BadSettings as error:
            problems += error.problems
        else:
            values |= found
            origins |= dict.fromkeys(found, f"found in {certs}/")
    try:
        settings = Settings(**_Variables(Settings, values)())
    except ValidationError as error:
        problems += [_readable(details, origins) for details in error.errors(include_url=False)]
    except SettingsError as error:
        problems.append(f"{error}: must be written as JSON")
    if problems:
        raise BadSettings(problems)
    return LoadedSettings(settings, origins)


def _written_in(dotenv: Path) -> dict[str, str]:
    """The variables of a `.env`; none where there is none. Raises BadSettings."""
    try:
        written = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    except UnicodeDecodeError:
        # As PowerShell's `>` writes it.
        raise BadSettings([f"{dotenv} is not UTF-8: save it in that coding"]) from None
    except OSError as error:
        raise BadSettings([f"cannot read {dotenv}: {error.strerror}"]) from None
    return {name: value for name, value in written.items() if value is not None}


def certificate_in(folder: Path) -> dict[str, str]:
    """The settings that serve with this folder's certificate; none if there is none. Raises BadSettings."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    try:
        there, missing = (certificate, key) if certificate.exists() else (key, certificate)
        if not there.exists():
            return {}
        if not missing.exists():
            raise BadSettings([f"{there} is there without {missing}: HTTPS needs both, plain HTTP neither"])
    except OSError as error:
        raise BadSettings([f"cannot look into {folder}: {error.strerror}"]) from None
    return {_CERTIFICATE: str(certificate), _KEY: str(key)}


def unknown_names(variables: Mapping[str, str], known: set[str]) -> list[str]:
    """The names that begin like ours and are none of ours."""
    return sorted(
        name
        for name in variables
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and name.upper().removesuffix("_FILE") not in known
        and not _SERVICE_LINK.fullmatch(name.upper())
    )


def _canonical(variables: Mapping[str, str], known: set[str]) -> dict[str, tuple[str, str]]:
    """Variable → (the name it was written under, its value); secret files are read. Raises BadSettings."""
    # An empty value means «not set», as in Docker's and Compose's env files: another name or source may tell.
    upper = {name.upper(): value for name, value in variables.items() if value != ""}
    names = [(variable, variable) for variable in known] + list(OTHER_NAMES.items())
    found: dict[str, tuple[str, str]] = {}
    problems = []
    for written_as, variable in names:
        if written_as in upper:
            found.setdefault(variable, (written_as, upper[written_as]))
    for written_as, variable in names:
        if path := upper.get(f"{written_as}_FILE"):
            if variable in found:
                continue
            try:
                found[variable] = (f"{written_as}_FILE", Path(path).read_text(encoding="utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{written_as}_FILE: cannot read {path}: {error}")
    if problems:
        raise BadSettings(problems)
    return found


class _Variables(EnvSettingsSource):
    """pydantic-settings' reading of an environment, over the variables that we gathered."""

    def __init__(self, settings_cls: type[Settings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def _readable(details: ErrorDetails, origins: Mapping[str, str]) -> str:
    variable = f"{PREFIX}{DELIMITER.join(str(part) for part in details['loc'][:2])}".upper()
    message = details["msg"].removeprefix("Value error, ")
    origin = f" ({origins[variable]})" if variable in origins else ""
    return f"{variable}: {message}{origin}"
