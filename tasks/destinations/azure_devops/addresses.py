"""The address of an organisation, out of one that was pasted from a browser."""

from __future__ import annotations

from urllib.parse import urlsplit


def organisation_of(url: str) -> str:
    """The organisation that an address in the service belongs to; raises `ValueError` where it names none.

    An address of a server of one's own stays as it is: how deep its collections lie can't be told.
    """
    parts = urlsplit(url)
    names = [name for name in parts.path.split("/") if name]
    host = (parts.hostname or "").lower()
    if host == "dev.azure.com":
        if not names:
            raise ValueError("names no organisation; write https://dev.azure.com/NAME")
        return f"{parts.scheme}://{parts.netloc}/{names[0]}"
    if host.endswith(".visualstudio.com"):
        return f"{parts.scheme}://{parts.netloc}"
    below = next((i for i, name in enumerate(names) if name.startswith("_")), None)
    if below is not None:  # …/_git/…, …/_workitems/…: pages below a project
        raise ValueError("is the address of a page; write the address of the organisation or collection")
    return url
