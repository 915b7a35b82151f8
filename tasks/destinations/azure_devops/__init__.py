"""Azure DevOps: an issue as a work item."""
