"""The peers' programs. Each runs in an environment of its own, with this folder as its working directory."""
