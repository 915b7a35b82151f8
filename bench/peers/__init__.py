"""Afterword beside its peers: Celery, arq, dramatiq and taskiq that only post, and the bare wire."""

from bench.peers.run import measure


def main() -> dict[str, object]:
    """Rounds of all rows."""
    return measure()
