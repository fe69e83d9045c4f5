"""What a command looks like in use, for the end of its help."""


def examples(*lines: str) -> str:
    """Whole lines to copy, in the Markdown that help is written in."""
    return "\n".join(("Examples:" if len(lines) > 1 else "Example:", "", "```", *lines, "```"))
