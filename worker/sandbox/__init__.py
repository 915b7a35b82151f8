"""Simulated Confluence, ServiceNow, Azure DevOps and Jira on one port, in memory, with faults on request."""
