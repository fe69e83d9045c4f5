"""Why a start ended before it began to serve."""

# Exit codes of sysexits(3).
EX_UNAVAILABLE = 69
EX_CONFIG = 78


class CannotStart(Exception):
    """Something that the operator must mend first: the message says what and how. `exit_code` ends the process."""

    exit_code = EX_CONFIG
