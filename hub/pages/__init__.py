"""The pages of the hub, and the browser client."""

from __future__ import annotations

from hub.pages.client import read_client, read_elements

__all__ = ["read_client", "read_elements"]
