# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's Prometheus on a lab's router, which scrapes it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from netpath.lab import Lab
from netpath.lab.namespace import Unavailable, wait_until

EXAMPLES = Path(__file__).parents[3] / "examples"
PORT = 9090
INTERVAL = "500ms"
PATIENCE = 30.0


class Prometheus:
    """Runs with the examples' configuration and rules, everything in them faster."""

    def __init__(self, lab: Lab, target: str) -> None:
        if shutil.which("prometheus") is None:
            raise Unavailable("prometheus is not installed")
        self._lab = lab
        directory = lab.directory / "prometheus"
        directory.mkdir()
        config = (EXAMPLES / "prometheus/prometheus.yml").read_text()
        config = re.sub(r"(scrape|evaluation)_interval: \S+", rf"\1_interval: {INTERVAL}", config)
        (directory / "prometheus.yml").write_text(config.replace("127.0.0.1:9919", target))
        rules = (EXAMPLES / "prometheus/netpath.rules.yml").read_text()
        (directory / "netpath.rules.yml").write_text(re.sub(r"\bfor: \S+", "for: 1s", rules))
        argv = ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
        argv += [f"--web.listen-address=127.0.0.1:{PORT}", "--log.level=warn"]
        self.process = lab.router.popen(argv, name="prometheus")

    def wait(self) -> None:
        """Until it answers."""
        wait_until(self._ready, PATIENCE, "Prometheus to be ready", self.process)

    def _ready(self) -> bool:
        try:
            return bool(self._fetch("/-/ready"))
        except URLError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector. Raises LabError with Prometheus' own words when it is no valid expression."""
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def values(self, expression: str) -> list[float]:
        return [float(each["value"][1]) for each in self.query(expression)]

    def firing(self) -> set[tuple[str, str]]:
        """(alert, what it is about) of the alerts that fire."""
        about = ("interface", "policy", "member", "name", "subject")
        return {
            (each["labels"]["alertname"], next((each["labels"][key] for key in about if key in each["labels"]), ""))
            for each in self.api("alerts")["alerts"]
            if each["state"] == "firing"
        }

    def api(self, path: str, **arguments: str) -> dict[str, Any]:
        reply = json.loads(self._fetch(f"/api/v1/{path}?{urlencode(arguments)}"))
        assert reply["status"] == "success", reply
        data: dict[str, Any] = reply["data"]
        return data

    def _fetch(self, path: str) -> bytes:
        def get() -> bytes:
            try:
                with urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=PATIENCE) as reply:
                    data: bytes = reply.read()
            except HTTPError as error:
                if error.code == 503:
                    raise
                data = error.read()
            return data

        return self._lab.router.inside(get)
