"""What headless Chromium sees of a page: its images as drawn, what it asks the network for, its
width on a narrow screen.
"""

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --disable-extensions --hide-scrollbars --allow-file-access-from-files"
)
NOBODY = "--host-resolver-rules=MAP * ~NOTFOUND"  # requests are seen, none leaves the machine
ITS_OWN = "not an origin"  # what the log says of requests that the browser makes for itself
TIMEOUT = 120  # seconds
# Before anything of the page, its policy included: hears what the policy forbids
LISTENER = (
    "<script>refused=[];document.addEventListener("
    "'securitypolicyviolation',event=>refused.push(event.blockedURI))</script>"
)
# The page stands in a frame, since a window is at least 500 pixels wide
FRAME = """<!DOCTYPE html><title>frame</title><body style="margin:0">
<iframe id="page" src="page.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>addEventListener("load", () => {{
  const inside = document.getElementById("page").contentWindow;
  const root = inside.document.documentElement;
  const images = [...inside.document.images].map(image => {{
    const box = image.getBoundingClientRect();
    return [image.alt, image.naturalWidth, image.naturalHeight, box.width, box.height];
  }});
  const seen = {{
    images, refused: inside.refused, width: root.clientWidth,
    content: root.scrollWidth, text: root.innerText
  }};
  document.documentElement.setAttribute("data-seen", JSON.stringify(seen));
}});
</script>"""


@dataclass(frozen=True)
class Image:
    """An image of a page: pixels it has (0: it could not be read) and CSS pixels it takes on the
    page.
    """

    alt: str
    pixels: tuple[int, int]
    size: tuple[float, float]

    @property
    def drawn(self) -> bool:
        """It has pixels, is as high as a figure has to be, and is not distorted."""
        if not all(self.pixels) or min(self.size) < 60:
            return False
        return abs(self.size[0] / self.size[1] * self.pixels[1] / self.pixels[0] - 1) < 0.1


@dataclass(frozen=True)
class Seen:
    """A page: its images, addresses it asked for and those its own policy refused, pixels there are
    and pixels its content takes, text.
    """

    images: tuple[Image, ...]
    fetched: tuple[str, ...]
    refused: tuple[str, ...]
    width: int
    content: int
    text: str

    @property
    def overflows(self) -> bool:
        """One has to scroll sideways to see all of it."""
        return self.content > self.width


def browser() -> str | None:
    """The path of Chromium or Chrome, None on a machine without one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


NEEDED = pytest.mark.skipif(
    browser() is None,
    reason=f"NO BROWSER: pages were not opened; install one of {', '.join(BROWSERS)}",
)


def inspect(page: Path, *, width: int = 420) -> Seen:
    """Open a page, `width` CSS pixels wide, with nothing changed but a listener in front of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        source = page.read_text(encoding="utf-8")
        start = re.match(r"\s*<!doctype html>", source, re.IGNORECASE)
        end = start.end() if start else 0
        (folder / "page.html").write_text(source[:end] + LISTENER + source[end:], encoding="utf-8")
        (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
        dom = _opened(folder)
        found = re.search(r'<html[^>]* data-seen="([^"]*)"', dom)
        assert found, f"the browser gave no measurements: {dom[:500]!r}"
        seen = json.loads(html.unescape(found[1]))
        fetched = _requests(json.loads((folder / "log.json").read_text(encoding="utf-8")))
    images = tuple(Image(alt, (w, h), (across, down)) for alt, w, h, across, down in seen["images"])
    return Seen(
        images, fetched, tuple(seen["refused"]), seen["width"], seen["content"], seen["text"]
    )


def _opened(folder: Path) -> str:
    """The document once it is loaded; log.json tells of the network."""
    program = browser()
    assert program, "there is no browser"
    options = [
        *QUIET.split(),
        NOBODY,
        f"--user-data-dir={folder / 'user'}",
        f"--log-net-log={folder / 'log.json'}",
    ]
    command = [program, *options, "--dump-dom", (folder / "frame.html").as_uri()]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _requests(log: dict) -> tuple[str, ...]:
    """Addresses on the network that a page asked for."""
    kind = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [
        event["params"]
        for event in log["events"]
        if event["type"] == kind and "url" in event.get("params", {})
    ]
    return tuple(
        sorted(
            {
                each["url"]
                for each in asked
                if each.get("initiator") != ITS_OWN
                and not each["url"].startswith(("data:", "file:"))
            }
        )
    )
