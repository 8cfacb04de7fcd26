"""The shape of the house, as a test: what may lie at the top, how long files and functions may be."""

import ast
import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = (
    "manage.py pyproject.toml README.md ota_console packages_app batches_app devices_app templates static tests"
)
BESIDE: Final = "Makefile CHANGELOG.md CONTRIBUTING.md SECURITY.md .ci .gitignore package.json docs deploy locale"
TOP_LEVEL: Final = frozenset(f"{ROOMS} {BESIDE}".split())
LONGEST_FILE: Final = 300
LONGEST_FUNCTION: Final = 30
LONGEST_SCRIPT: Final = 150
REASON_FOR_LENGTH: Final = "one thing"
"""A longer file says on top why it is one thing."""


def tracked_files() -> list[Path]:
    """What git knows of; without git (an unpacked archive) everything that is not generated."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (PROJECT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py" and "migrations" not in path.parts]


def test_the_top_level_holds_exactly_the_rooms_of_the_house() -> None:
    """A stray file belongs into a room."""
    assert {path.parts[0] for path in tracked_files()} <= TOP_LEVEL


def test_no_third_party_file_is_committed() -> None:
    """Packages come from their registries, and no lock file holds addresses."""
    strangers = {"node_modules", "vendor", "package-lock.json", "yarn.lock"}
    assert not [path for path in tracked_files() if strangers & set(path.parts)]


def test_python_files_are_short_or_say_why_they_are_one_thing() -> None:
    """Files are split by reason to change."""
    long = {path: text for path, text in sources().items() if len(text.splitlines()) > LONGEST_FILE}
    assert [str(path) for path, text in long.items() if REASON_FOR_LENGTH not in docstring(text)] == []


def test_functions_are_short() -> None:
    """Up to 30 lines, not counting the signature and the docstring."""
    found = {
        f"{path}:{function.name}": length
        for path, text in sources().items()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := body_length(function)) > LONGEST_FUNCTION
    }
    assert found == {}


def test_a_script_is_one_small_behaviour() -> None:
    """Up to 150 lines."""
    scripts = [path for path in tracked_files() if path.suffix == ".js"]
    lengths = {str(path): len((PROJECT / path).read_text(encoding="utf-8").splitlines()) for path in scripts}
    assert {path: length for path, length in lengths.items() if length > LONGEST_SCRIPT} == {}


def test_a_module_says_why_it_exists() -> None:
    """Empty packages and commands, whose help does, speak for themselves."""
    modules = {path: text for path, text in sources().items() if path.parts[0] != "tests" and text.strip()}
    assert [str(path) for path, text in modules.items() if "commands" not in path.parts and not docstring(text)] == []


def sources() -> dict[Path, str]:
    return {path: (PROJECT / path).read_text(encoding="utf-8") for path in python_files()}


def docstring(text: str) -> str:
    return ast.get_docstring(ast.parse(text)) or ""


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
