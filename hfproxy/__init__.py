"""A team's own front door to the Hugging Face Hub."""

from importlib.metadata import version

__version__ = version("hfproxy")
