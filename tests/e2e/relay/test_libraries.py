"""`transformers` and `datasets` through the gateway, in a network where it is the only way out."""

from pathlib import Path

from tests.e2e.relay.conftest import WALLED_IN
from tests.support.clients import LIBRARIES, client, environment
from tests.support.gateway import Gateway

SCENARIO = Path(__file__).parent / "scenarios" / "libraries.py"
PASSED = [
    *("transformers_loads_a_config", "transformers_loads_a_tokenizer"),
    *("datasets_pushes_and_loads", "datasets_loads_a_revision", "datasets_loads_csv_and_json"),
]


async def test_what_transformers_and_datasets_push_is_what_they_load(gateway: Gateway, tmp_path: Path) -> None:
    """All in one process, since most of the time is that of its imports."""
    libraries = client(LIBRARIES)
    env = environment(gateway.url, tmp_path, "hf_sandbox_alice") | WALLED_IN
    finished = await libraries.run(libraries.python, SCENARIO, env=env)
    assert finished.code == 0, str(finished)
    assert [line for line in finished.out.splitlines() if line.startswith("passed")] == [
        f"passed {name}" for name in PASSED
    ]
