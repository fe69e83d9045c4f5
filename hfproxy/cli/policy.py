"""`hfproxy policy`: a file of rules checked, and what it says about a call."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfproxy.cli.examples import examples
from hfproxy.cli.terminal import Json, fail, out, print_json, read_settings

if TYPE_CHECKING:
    from hfproxy.features.policy.matching import Asked
    from hfproxy.features.policy.models import PolicyText
    from hfproxy.features.policy.wire import PolicyAnswer

app = typer.Typer(help="Check rules on who may do what, and ask what they say.", no_args_is_help=True)


class Example(StrEnum):
    """The files that come with the program."""

    UNSAFE_FORMATS = "unsafe-formats"
    COMPANY = "company"


_ACTIONS_OF_METHODS = {
    **dict.fromkeys(("GET", "HEAD", "OPTIONS"), "read"),
    **dict.fromkeys(("POST", "PUT", "PATCH"), "write"),
    "DELETE": "delete",
}


@app.command(epilog=examples("hfproxy policy check rules.toml"))
def check(file: Annotated[Path, typer.Argument(help="The file of rules.")]) -> None:
    """Read a file of rules; exit with 1 and a line for each mistake."""
    policy = _read(file)
    out.print(
        f"{file} is fine: {len(policy.rule)} rules, {len(policy.limit)} limits; where no rule means a call: "
        f"{policy.default}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command(epilog=examples("hfproxy policy example unsafe-formats > rules.toml"))
def example(
    name: Annotated[
        Example, typer.Argument(help="unsafe-formats denies pickle and its kin; company is an allow-list.")
    ],
) -> None:
    """Print a file of rules to begin with."""
    from importlib.resources import files

    sys.stdout.write(files("hfproxy.features.policy.examples").joinpath(f"{name.value}.toml").read_text())


@app.command(
    epilog=examples(
        "hfproxy policy explain --policy rules.toml acme/demo pytorch_model.bin",
        "hfproxy policy explain --caller ci --role writer --method write acme/demo",
    )
)
def explain(
    repo: Annotated[str, typer.Argument(help="`owner/name`, `datasets/owner/name`, `spaces/…`, `buckets/…`.")],
    file: Annotated[str | None, typer.Argument(help="Path of the file in it; without: what is told of it.")] = None,
    caller: Annotated[str, typer.Option(help="Name of a key, `hub-token:FINGERPRINT`, or `anonymous`.")] = "anonymous",
    role: Annotated[str, typer.Option(help="The caller's role: none, reader, writer or admin.")] = "reader",
    method: Annotated[
        str, typer.Option(help="read, list, write, create, delete, manage, discuss; or a method of HTTP.")
    ] = "read",
    size: Annotated[str | None, typer.Option(help="Size of the file, such as 5GiB.")] = None,
    licence: Annotated[str | None, typer.Option(help="Its licence, as the Hub spells it; `none` for none.")] = None,
    any_file: Annotated[
        bool, typer.Option("--any-file", help="Ask as git and Xet do: about files, without saying which.")
    ] = False,
    policy_file: Annotated[
        Path | None, typer.Option("--policy", help="A file of rules; without: the one of the settings.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which rule decides about a call and why, rule by rule; exit with 1 if the call is denied.

    The Hub is not asked: give the licence where rules hang on it.
    """
    from hfproxy.features.policy.asked import answer_of
    from hfproxy.features.policy.explaining import explain as explained
    from hfproxy.features.policy.matching import RuleSet

    path = policy_file or read_settings().settings.policy.file
    if path is None:
        fail("There are no rules: everything is allowed.", "Set HFPROXY_POLICY__FILE, or give --policy FILE.")
    rules = RuleSet(_read(path))
    asked = _asked(
        caller=caller,
        role=role,
        action=_ACTIONS_OF_METHODS.get(method.upper(), method.lower()),
        repo=repo,
        file=file,
        any_file=any_file,
        size=size,
        licence=licence,
    )
    answer = answer_of(explained(rules, asked), asked)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        _print_steps(answer)
    if not answer.allowed:
        raise typer.Exit(1)


def _asked(**given: object) -> "Asked":
    """The call in question, as rules see it; one that nobody could make ends the command."""
    from pydantic import ValidationError

    from hfproxy.features.policy.asked import asked_in
    from hfproxy.features.policy.wire import PolicyQuestion
    from hfproxy.upstream.refs import BadReference

    try:
        question = PolicyQuestion.model_validate({name: value for name, value in given.items() if value is not None})
        asked, _ = asked_in(question)
    except ValidationError as error:
        fail("This cannot be asked:", *(f"{each['loc'][0]}: {each['msg']}" for each in error.errors()), code=2)
    except BadReference as error:
        fail("This cannot be asked:", str(error), code=2)
    return asked


def _print_steps(answer: "PolicyAnswer") -> None:
    for number, step in enumerate(answer.steps, start=1):
        means = {True: "yes", False: "no", None: "perhaps"}[step.means_it]
        print(f"{number:>4}  {means:7}  {step.effect:9}  {step.rule}: {step.why}")
    print(f"{'allowed' if answer.allowed else 'denied'} by {json.dumps(answer.rule)}")
    if not answer.sure:
        print("not sure: a rule that may mean it is taken for the worst case; --size and --licence may settle it")
    if answer.reason is not None:
        print(f"the caller is told: {answer.reason}")


def _read(path: Path) -> "PolicyText":
    from hfproxy.features.policy.reading import BadPolicy, read_policy

    try:
        return read_policy(path)
    except BadPolicy as error:
        fail("These rules cannot be used:", *error.problems)
