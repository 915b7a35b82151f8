"""Plain text that reads well in a ServiceNow form."""

from tasks.markup.servicenow.text import document_file, inline_text, render, without_code_tags

__all__ = ["document_file", "inline_text", "render", "without_code_tags"]
