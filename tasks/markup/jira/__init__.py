"""The description of an issue in Jira: a document in Atlassian's format for the Cloud, wiki markup for a Data Center."""

from tasks.markup.jira.adf import render, words
from tasks.markup.jira.wiki import KEPT, escaped

__all__ = ["KEPT", "escaped", "render", "words"]
