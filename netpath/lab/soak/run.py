# SPDX-License-Identifier: GPL-2.0-or-later
"""The soak itself: faults as the schedule has them, samples all the time, and at the end what they say."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from netpath.lab import demo
from netpath.lab.lab import Lab
from netpath.lab.namespace import LabError
from netpath.lab.picture import Screen
from netpath.lab.soak import drift
from netpath.lab.soak.drift import Sample, Verdict
from netpath.lab.soak.readings import COUNTED, QUANTITIES, Reader
from netpath.lab.soak.schedule import Fault, faults
from netpath.lab.soak.site import Site

RIGHT_SECONDS = 90.0
"""Until then everything must be right again; an uplink that dropped out three times in 5 minutes waits for 60 s."""
LEVEL_SECONDS = 15.0
"""How long what is counted may take to be as before: transfers end, workers leave."""
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    time: float
    """Seconds, from when everything is up."""
    seed: int
    every: float
    """Seconds between two samples."""
    pace: float
    """Of the schedule."""
    out: Path | None
    """Where samples go, as JSON lines."""

    @property
    def warm_up(self) -> float:
        """Seconds that no row counts: until histories, which hold ten minutes by seconds, caches and connection
        tracking are full."""
        return min(900.0, self.time / 4)


class Soak:
    """One run. `site` is started; `samples` and `wrong` grow."""

    def __init__(self, plan: Plan, site: Site, screen: Screen, out: TextIO | None) -> None:
        self._plan, self._site, self._screen, self._out = plan, site, screen, out
        self._reader = Reader(site)
        self._began = time.monotonic()
        self._next_sample = self._began
        self.samples: list[Sample] = []
        self.wrong: list[str] = []
        self.faults = 0
        self._fault: Fault | None = None
        self._interrupted = False

    @property
    def lasted(self) -> float:
        return time.monotonic() - self._began

    def run(self) -> None:
        """Until the time is over or Ctrl-C, either way with all healed and a last calm sample; or until something ends.

        Ctrl-C is held back, also from the tools that faults are made with, and looked for between the steps.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._run()
        except (LabError, OSError) as error:  # what was seen until then is worth its table
            self._screen.say(f"{self._clock()} {error}")
            self.wrong.append(f"{self._clock()} {str(error).partition(chr(10))[0]}")
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def _run(self) -> None:
        self._calm_sample("at the start")
        self._break_and_heal(self._began + self._plan.time)
        if not self.wrong:
            self._calm_sample("at the end")

    def _break_and_heal(self, end: float) -> None:
        for fault in faults(self._plan.seed, list(demo.ROLES), self._plan.pace):
            self._wait(min(end, time.monotonic() + fault.pause))
            if self._interrupted or time.monotonic() >= end:
                return
            self._fault = fault
            self.faults += 1
            self._screen.say(f"{self._clock()} {fault}")
            heal = self._site.break_(fault)
            self._wait(min(end, time.monotonic() + fault.hold))
            heal()
            self._calm_sample(f"after {fault}")
            self._fault = None

    def verdict(self) -> tuple[list[drift.Row], Verdict]:
        rows = drift.table(QUANTITIES, self.samples, self._plan.warm_up if self._calm_later() else 0.0)
        return rows, drift.verdict(rows if self._calm() > 1 else [], self.lasted, self.wrong)

    def _calm(self) -> int:
        return sum(sample.calm for sample in self.samples)

    def _calm_later(self) -> bool:
        """Whether enough calm samples are left without those of the warm-up."""
        return sum(sample.calm and sample.at >= self._plan.warm_up for sample in self.samples) > 1

    def _wait(self, until: float) -> None:
        """Take samples meanwhile; returns early after Ctrl-C."""
        while time.monotonic() < until and not self._interrupted:
            self._sample_if_due()
            self._pause()

    def _pause(self) -> None:
        """A short while. Raises KeyboardInterrupt at the second Ctrl-C."""
        if signal.sigtimedwait({signal.SIGINT}, LOOK_SECONDS) is None:
            return
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        self._screen.say("Interrupted: everything is healed and looked at once more. Ctrl-C again ends it at once.")

    def _sample_if_due(self) -> None:
        if time.monotonic() >= self._next_sample:
            self._sample(calm=False)

    def _sample(self, *, calm: bool) -> None:
        sample = Sample(round(self.lasted, 1), calm, self._reader.read())
        self._next_sample = time.monotonic() + self._plan.every
        self.samples.append(sample)
        if self._out:
            fault = str(self._fault) if self._fault else None
            self._out.write(f"{json.dumps({**asdict(sample), 'fault': fault})}\n")
            self._out.flush()

    def _calm_sample(self, when: str) -> None:
        """Wait until everything is right and level, and take a sample; what does not become right is written down."""
        since = time.monotonic()
        while wrong := [*self._site.wrong(since)]:
            if time.monotonic() > since + RIGHT_SECONDS:
                self.wrong.append(f"{self._clock()} {RIGHT_SECONDS:.0f} s {when}: {', '.join(wrong)}")
                self._screen.say(f"WRONG: {self.wrong[-1]}")
                return
            self._sample_if_due()
            self._pause()
        self._await_level()
        self._sample(calm=True)

    def _await_level(self) -> None:
        """Until what is counted is as in the last calm sample, or for LEVEL_SECONDS: then that is how it is."""
        calm = [sample.values for sample in self.samples if sample.calm]
        deadline = time.monotonic() + LEVEL_SECONDS
        before: Mapping[str, float] = calm[-1] if calm else self._reader.counts()
        while time.monotonic() < deadline:
            if not calm:
                self._pause()
            now = self._reader.counts()
            if not [*changed(before, now)]:
                return
            if not calm:
                before = now
            self._pause()

    def _clock(self) -> str:
        minutes, seconds = divmod(int(self.lasted), 60)
        return f"[{minutes // 60}:{minutes % 60:02}:{seconds:02}]"


def changed(before: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    """Names of counted things that are not as they were."""
    return (name for name in COUNTED & now.keys() if before.get(name) != now[name])


def soak(plan: Plan) -> int:
    """Build, run, tell, remove. 0: nothing drifts; 1: something does, or the soak could not go on."""
    screen = Screen()
    out = plan.out.open("w", encoding="utf-8") if plan.out else None
    try:
        screen.title(f"The demo's house with tracker, monitor and bond, for {plan.time:.0f} s; seed {plan.seed}")
        with Lab(list(demo.ROLES)) as lab:
            demo.imitate_latencies(lab, screen)
            site = Site(lab)
            site.start()
            run = Soak(plan, site, screen, out)
            run.run()
            rows, verdict = run.verdict()
    except (LabError, OSError) as error:
        screen.title(f"THE SOAK FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        screen.title("Interrupted; everything is removed.")
        return 130
    finally:
        if out:
            out.close()
    screen.title(f"{run.lasted:.0f} s, {run.faults} faults, {len(run.samples)} samples, seed {plan.seed}")
    print("\n".join(drift.rendered(rows)))
    print(f"\nverdict: {verdict.text}", flush=True)
    return 1 if verdict.drifts else 0
