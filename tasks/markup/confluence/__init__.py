"""Confluence's storage format: Markdown into it, and what a server gave back read again."""

from tasks.markup.confluence.page import render, render_page
from tasks.markup.options import Attachment, PageOptions, RenderedPage

__all__ = ["Attachment", "PageOptions", "RenderedPage", "render", "render_page"]
