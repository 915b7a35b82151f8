"""`afterword completion`: commands and options completed by the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from worker.terminal.base import Context, common


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(context: Context, shell: str) -> None:
    """Print the script that completes commands in your shell.

    In ~/.bashrc: eval "$(afterword completion bash)". In ~/.zshrc the same with zsh; fish reads it from
    ~/.config/fish/completions/afterword.fish.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    root = click.get_current_context().find_root()
    script = found(root.command, {}, "afterword", "_AFTERWORD_COMPLETE").source()
    context.show({"shell": shell, "script": script}, script)
