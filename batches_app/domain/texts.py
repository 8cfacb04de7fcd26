"""Marking texts for translation in pure modules: they are translated where they are shown."""


def gettext_noop(text: str) -> str:
    """The text itself; the name is one that Django's message extraction looks for."""
    return text
