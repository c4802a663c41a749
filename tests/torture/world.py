# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab that is tortured: four uplinks of both families, others' things in the router's kernel, the real tracker."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from netpath.kernel import nftdump
from netpath.lab import Lab, LabError, Process, daemon, namespace
from netpath.lab.namespace import wait_until
from tests.torture import foreign, policies
from tests.torture.capture import Captures, Gap
from tests.torture.invariants import kernel_state
from tests.torture.policies import SPECS, TABLE

START_SECONDS, TABLE_SECONDS, SETTLE_SECONDS = 30.0, 20.0, 45.0
STATE_DIR_SIZE = "2m"


class Violation(LabError):  # noqa: N818 - what it says is a finding, not a mistake
    """NetPath did what it must not do, or not what it must."""


class TorturedLab(Lab):
    """A lab whose tracker dies and comes back, and whose configuration changes."""

    def __init__(self) -> None:
        super().__init__(SPECS)
        self.variant: set[str] = set()
        """What is different about the configuration now."""
        self.tracker: Process | None = None
        self.captures = Captures()
        self.others = ""
        """Tables that are not ours, as text."""
        self.stale = False
        """The tracker has refused the configuration that stands: whoever has changed it asks again later."""

    @property
    def clock_file(self) -> Path:
        return self.directory / "clock"

    def prepare(self) -> None:
        """Put everything there but NetPath and traffic."""
        self.state_dir.mkdir(mode=0o700)
        namespace.run(["mount", "-t", "tmpfs", "-o", f"size={STATE_DIR_SIZE},mode=700", "tmpfs", str(self.state_dir)])
        self.clock_file.write_text("0")
        self.config_file.write_text(policies.text(self.uplinks))
        self.others = foreign.add(self.router)
        self.captures = Captures.of(self)
        self.start_dns()

    def close(self) -> None:
        self.captures.close()
        if self.tracker is not None:
            self.tracker.stop()
        while self.state_dir.is_mount():
            namespace.run(["umount", "--lazy", str(self.state_dir)])
        super().close()

    # -- the tracker --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a tracker, as a supervisor does, and wait until it answers; ours stands when this returns."""
        program = [sys.executable, "-m", "tests.torture.clocked", str(self.clock_file)]
        self.tracker = self.start_netpath(file=self.config_file, program=program)
        self.close_gap()

    def kill(self) -> None:
        """SIGKILL, to the tracker alone."""
        if self.tracker is not None:
            os.kill(self.tracker.pid, signal.SIGKILL)
            self.tracker.wait()
            self.tracker = None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The tracker's answer; an error while there is none."""
        if self.tracker is None:
            return {"error": "there is no tracker"}
        with suppress(OSError):
            return daemon.call(self.socket, request)
        return {"error": "nobody listens"}

    def reconfigure(self, *, add: str = "", drop: str = "") -> dict[str, Any]:
        """Change one thing about the configuration and have it loaded; the answer."""
        if add == policies.REMOVED:
            uplink = self.uplink(policies.OPTIONAL)
            self.captures.gaps.append(Gap(time.time(), sources=frozenset(uplink.addresses4 + uplink.addresses6)))
        self.variant = (self.variant | {add} if add else self.variant) - {drop}
        self.config_file.write_text(policies.text(self.uplinks, self.variant))
        reply = self.ask({"cmd": "reload"})
        self.stale = "error" in reply
        self.end_gaps()
        return reply

    def workers(self) -> list[int]:
        """Its children that load."""
        if self.tracker is None:
            return []
        with suppress(OSError):
            listed = Path(f"/proc/{self.tracker.pid}/task/{self.tracker.pid}/children").read_text().split()
            return [int(pid) for pid in listed if Path(f"/proc/{pid}/comm").read_text() == "netpath-apply\n"]
        return []

    # -- our table, removed by somebody else ------------------------------------------------------------------------

    def lose_table(self, text: str) -> None:
        """Load nft text that removes our table; nothing can steer until it is back."""
        self.captures.gaps.append(Gap(time.time()))
        self.router.nft(text)
        if self.tracker is not None:
            self.close_gap()

    def close_gap(self) -> None:
        """Wait until our table stands. Raises Violation when it does not come."""
        try:
            self.router.inside(lambda: wait_until(lambda: nftdump.table_intact(TABLE), TABLE_SECONDS, "our table"))
        except LabError as error:
            raise Violation(f"our table is not loaded again: {error}\n{self.log()}") from None
        self.end_gaps(table=True)

    def end_gaps(self, *, table: bool = False) -> None:
        """End those without our table if it is there again, and those without an uplink if that is configured."""
        owned = policies.OPTIONAL in self.ask({"cmd": "status"}).get("interfaces", {})
        for gap in self.captures.gaps:
            if gap.end is None and (owned if gap.sources else table):
                gap.end = time.time()

    # -- being whole ----------------------------------------------------------------------------------------------

    def all_online(self, seconds: float = SETTLE_SECONDS) -> list[str]:
        """Wait until every interface is in use; what is not by then. Old flaps are forgiven the way a user does it:
        else an uplink that dropped out three times would be held for a minute."""
        deadline, forgiven = time.monotonic() + seconds, time.monotonic() + 2.0
        wanted = {uplink.interface(family) for uplink in self.uplinks for family in uplink.families}
        while True:
            rows = self.ask({"cmd": "status"}).get("interfaces", {})
            missing = sorted(n for n in wanted if rows.get(n, {}).get("status") != "online")
            if not missing:
                self.end_gaps()
                return []
            if time.monotonic() > deadline:
                return [f"{n} is not online again: {rows.get(n, 'not there')}" for n in missing]
            switched_off = [n for n in missing if rows.get(n, {}).get("status") == "disabled"]
            if time.monotonic() > forgiven:
                forgiven = time.monotonic() + 5.0
                for name in missing:
                    self.ask({"cmd": "disable", "interface": name})
                switched_off = missing
            for name in switched_off:
                self.ask({"cmd": "enable", "interface": name})
            time.sleep(0.1)

    def state(self) -> dict[str, list[str]]:
        """All of ours in the kernel."""
        return kernel_state(self.router)

    def log(self) -> str:
        """The end of what the tracker has logged."""
        return self.tracker.output()[-3000:] if self.tracker else "(no tracker)"
