"""The user's browser."""

from __future__ import annotations

import asyncio
import webbrowser


async def open_page(url: str) -> bool:
    """Open a page in the desktop's browser; False where there is none. One for terminals is left alone."""
    return await asyncio.to_thread(_open, url)  # some browsers are waited for


def _open(url: str) -> bool:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser:  # its subclass BackgroundBrowser does not take the terminal
        return False
    return browser.open(url)
