"""In the last stage of an image: tells Python which version this is, makes the command reaf, compiles all sources."""

import compileall
import py_compile
import tomllib
from pathlib import Path

ROOT = Path("/opt/reafference")
REAF = Path("/usr/local/bin/reaf")


def main() -> None:
    """The metadata by which reafference knows its version; compiled files that nobody compares with their sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = ROOT / f"{project['name']}-{project['version']}.dist-info"
    about.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(text, encoding="utf-8")
    REAF.write_text('#!/bin/sh\nexec python -m reafference.cli "$@"\n', encoding="utf-8")
    REAF.chmod(0o755)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(ROOT, quiet=1, force=True, invalidation_mode=mode):
        raise SystemExit("some source cannot be compiled")


if __name__ == "__main__":
    main()
