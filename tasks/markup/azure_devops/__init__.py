"""What a work item's form shows: sanitised HTML, or cleaned Markdown."""

from tasks.markup.azure_devops.fields import render, render_markdown

__all__ = ["render", "render_markdown"]
