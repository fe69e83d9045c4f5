"""A team's own front door to the Hugging Face Hub."""

__version__: str


def __getattr__(name: str) -> str:
    """`__version__`, read when it is first wanted: what reads it takes a tenth of the time of `hfproxy --help`."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    found = globals()["__version__"] = version("hfproxy")
    return found
