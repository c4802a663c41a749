# SPDX-License-Identifier: GPL-2.0-or-later
"""A Chromium without a window, as a user of NetPath's pages."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from netpath.lab.namespace import LabError, Unavailable

HERE = Path(__file__).parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1200, 900
WAIT_SECONDS = 20.0


class Browser:
    """One page at a time. Every method raises LabError with what the browser said when it fails."""

    def __init__(self, before: Sequence[str] = ()) -> None:
        """`before`: words that run a program elsewhere (in a network namespace). Raises Unavailable without one."""
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise Unavailable(f"no browser here: none of {', '.join(PROGRAMS)}")
        if not shutil.which("node") or not (HERE.parents[1] / "node_modules/playwright-core").is_dir():
            raise Unavailable("node or node_modules/playwright-core is missing: make setup")
        self._argv = [*before, "node", str(HERE / "browser.mjs"), program]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *self._argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, order: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"order": order, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise LabError(f"the browser ended during {order}")
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"{order} {given}: {answer['error']}; the page said {answer['problems']}")
        return answer["result"]

    def fresh(self, *, width: int = WIDTH, height: int = HEIGHT, dark: bool = False) -> None:
        """A new page, without cookies and memories of the one before."""
        self._order("fresh", width=width, height=height, dark=dark)

    def open(self, url: str) -> None:
        self._order("open", url=url)

    def post(self, url: str, **form: str) -> int:
        """Send a form without showing the answer, whose status this is; its cookies are kept."""
        return int(self._order("post", url=url, form=form))

    def size(self, width: int, height: int) -> None:
        self._order("size", width=width, height=height)

    def dark(self, dark: bool) -> None:
        self._order("dark", dark=dark)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        return self._order("evaluate", script=script)

    def wait(self, script: str, seconds: float = WAIT_SECONDS) -> None:
        """Until the expression is true; what the page shows is in the error when it never is."""
        try:
            self._order("wait", script=script, seconds=seconds)
        except LabError as error:
            raise LabError(f"{error}\n{self.text()[:4000]}") from None

    def wait_for(self, selector: str, text: str = "", seconds: float = WAIT_SECONDS) -> None:
        """Until an element is there and visible, with that text in it."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        self.wait(
            f"{found}.some(e => e.getClientRects().length && e.textContent.includes({json.dumps(text)}))", seconds
        )

    def text(self, selector: str = "body") -> str:
        """What a user reads there."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def count(self, selector: str) -> int:
        return int(self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def click(self, selector: str) -> None:
        self._order("click", selector=selector)

    def hover(self, selector: str) -> None:
        self._order("hover", selector=selector)

    def fill(self, selector: str, text: str) -> None:
        self._order("fill", selector=selector, text=text)

    def focus(self, selector: str) -> None:
        self._order("focus", selector=selector)

    def press(self, key: str) -> None:
        """A key by its name, such as Escape or ArrowLeft."""
        self._order("press", key=key)

    def shot(self, path: Path, *, full: bool = False) -> None:
        """Save a picture of what is visible, or of the full page."""
        self._order("shot", path=str(path), full=full)

    def problems(self) -> list[str]:
        """Errors on the console, uncaught ones and failed requests since the last time."""
        return list(self._order("problems"))
