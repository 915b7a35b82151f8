"""Simulated Confluence, ServiceNow and Azure DevOps on one port, in memory, with faults on request."""
