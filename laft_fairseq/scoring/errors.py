"""The one error that scoring raises for wrong input."""


class ScoringError(ValueError):
    """Wrong input to a score; its message is one line naming file, language and remedy."""
