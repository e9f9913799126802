"""What `-o Key=Value` puts over a configuration, as the engine's command line says it."""

from .arguments import Wish


def engine_arguments(wish: Wish) -> list[str]:
    """The launcher's command line. Keys are those of the file as it stands: NRP-core's, or ours."""
    prefix = "published." if wish.config.suffix == ".json" else ""
    overrides = [f"--set={prefix}{key}={value}" for key, value in wish.overrides]
    return [str(wish.config), f"--runs={wish.folder / 'runs'}", "--hold", *overrides]
