"""Debian's Redis, Sentinel and RabbitMQ as child processes, and the tests that need them."""
