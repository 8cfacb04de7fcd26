"""Pages stay within a strict content security policy, and every address in them exists."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((PROJECT / "templates").rglob("*.html"))
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE)


def test_no_page_carries_inline_script_or_style() -> None:
    """A policy without 'unsafe-inline' must not break a page."""
    assert [path.name for path in TEMPLATES if INLINE.search(path.read_text(encoding="utf-8"))] == []


def test_no_page_loads_anything_from_elsewhere() -> None:
    """Nothing comes from a CDN; the console works without the internet."""
    found = re.compile(r"""(?:src|href)=["']https?://""")
    assert [path.name for path in TEMPLATES if found.search(path.read_text(encoding="utf-8"))] == []
