# SPDX-License-Identifier: GPL-2.0-or-later
"""One scheduler for the probes of all interfaces: a heap of wake-up times and one timer of the event loop."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from netpath.health import InterfaceHealth, Transition
from netpath.model import Tracking, TrackMethod, Uplink
from netpath.probe.base import Context, Prober
from netpath.probe.factory import make_prober, same_prober

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

OnTransition = Callable[[str, Transition], None]
"""(interface, transition); may call the scheduler again."""

RETRY = 1.0
"""Seconds until an interface is attended to again after an error in it."""


class _Slot:
    """One interface."""

    __slots__ = (
        *("alarm_at", "busy", "dirty", "errors", "health"),
        *("mark", "name", "prober", "tracking", "uplink", "wake_at"),
    )

    def __init__(self, name: str, health: InterfaceHealth, tracking: Tracking, uplink: Uplink | None) -> None:
        self.name = name
        self.health = health
        self.tracking = tracking
        self.uplink = uplink
        self.mark = 0
        self.prober: Prober | None = None
        self.wake_at = math.inf
        self.alarm_at = math.inf
        """The youngest of its entries in the heap."""
        self.busy = False
        """Being attended to; what happens meanwhile only makes it dirty."""
        self.dirty = False
        self.errors: set[type[Exception]] = set()
        """Kinds of errors that were reported: a prober that is broken breaks at every probe."""


class Scheduler:
    """Probes every interface as its health asks, and tells `on_transition` what came of it.

    An error in one interface's prober, or in `on_transition`, goes to the loop's exception handler and no further: the
    probe counts as failed, the other interfaces do not notice, and the prober is asked again at the next one.

    Times are those of `loop.time()`, which is monotonic.
    """

    def __init__(self, loop: AbstractEventLoop, on_transition: OnTransition) -> None:
        self._loop = loop
        self._on_transition = on_transition
        self._slots: dict[str, _Slot] = {}
        self._heap: list[tuple[float, str]] = []
        """Wake-up times; entries that are not their slot's current one are stale and skipped."""
        self._timer: TimerHandle | None = None

    def set_interface(
        self, name: str, health: InterfaceHealth, tracking: Tracking, uplink: Uplink | None, mark: int
    ) -> None:
        """Add an interface, or give it a new health, configuration, uplink or mark.

        `mark` is the packet mark of its sockets: one that no policy touches. A new `tracking` is passed on to
        `health.reconfigure`. Sockets are opened anew when mark, or the uplink's device or addresses changed. Without a
        device every probe fails.
        """
        slot = self._slots.get(name)
        if slot is None or slot.health is not health:
            self.remove(name)
            slot = self._slots[name] = _Slot(name, health, tracking, uplink)
        if slot.uplink != uplink or slot.mark != mark or not same_prober(slot.tracking, tracking):
            self._close_prober(slot)
        slot.tracking, slot.uplink, slot.mark = tracking, uplink, mark
        self._emit(slot, health.reconfigure(tracking, self._loop.time()))
        self._attend(slot)

    def remove(self, name: str) -> None:
        """Forget an interface; unknown names are fine."""
        slot = self._slots.pop(name, None)
        if slot is not None:
            self._close_prober(slot)
            slot.wake_at = math.inf

    def link(self, name: str, up: bool, reason: str) -> None:
        """The link of an interface came or went. Raises KeyError for an unknown interface, as do the others."""
        slot = self._slots[name]
        self._emit(slot, slot.health.link(up, self._loop.time(), reason))
        self._attend(slot)

    def admin(self, name: str, enabled: bool) -> None:
        """An interface was switched on or off by hand."""
        slot = self._slots[name]
        self._emit(slot, slot.health.admin(enabled, self._loop.time()))
        self._attend(slot)

    def close(self) -> None:
        """Stop probing and close every socket."""
        for name in list(self._slots):
            self.remove(name)
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # probing

    def _attend(self, slot: _Slot) -> None:
        """Do what the health of `slot` asks for, until it is content, and set the alarm."""
        slot.dirty = True
        if slot.busy:
            return
        slot.busy = True
        try:
            while slot.dirty and self._is_ours(slot):
                slot.dirty = False
                actions = slot.health.poll(self._loop.time())
                slot.wake_at = actions.wake_at
                if slot.prober is not None:
                    for token in actions.expired:
                        slot.prober.cancel(token)
                for order in actions.orders:
                    self._send(slot, order.token, order.target)
                self._emit(slot, actions.transitions)
        except Exception as error:  # noqa: BLE001 - the other interfaces have nothing to do with it
            self._report_once(slot, error)
            slot.wake_at = self._loop.time() + RETRY
        finally:
            slot.busy = False
            self._set_alarm(slot)

    def _send(self, slot: _Slot, token: int, target: str) -> None:
        if not self._is_ours(slot):
            return
        if slot.uplink is None or slot.uplink.device is None:
            self._failed(slot, token, "no device")
            return
        try:
            slot.prober = slot.prober or self._make_prober(slot, slot.uplink)
            slot.prober.send(token, target)
        except Exception as error:  # noqa: BLE001 - the same, and the other targets neither
            self._report_once(slot, error)
            self._failed(slot, token, f"internal error: {error!r}")

    def _make_prober(self, slot: _Slot, uplink: Uplink) -> Prober:
        def replied(token: int) -> None:
            self._emit(slot, slot.health.reply(token, self._loop.time()))
            self._attend(slot)

        def failed(token: int, reason: str) -> None:
            self._failed(slot, token, reason)

        assert slot.tracking.method is not TrackMethod.NONE
        return make_prober(slot.tracking, Context(self._loop, uplink, slot.mark, replied, failed))

    def _failed(self, slot: _Slot, token: int, reason: str) -> None:
        self._emit(slot, slot.health.failure(token, self._loop.time(), reason))
        self._attend(slot)

    def _emit(self, slot: _Slot, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            if self._is_ours(slot):
                try:
                    self._on_transition(slot.name, transition)
                except Exception as error:  # noqa: BLE001 - what follows a transition must not end the probing
                    self._report(slot, error)

    def _report_once(self, slot: _Slot, error: Exception) -> None:
        if type(error) not in slot.errors:
            slot.errors.add(type(error))
            self._report(slot, error)

    def _report(self, slot: _Slot, error: Exception) -> None:
        self._loop.call_exception_handler({"message": f"tracking of {slot.name}:", "exception": error})

    def _is_ours(self, slot: _Slot) -> bool:
        """False once it was removed or replaced, perhaps by the very callback that we are in."""
        return self._slots.get(slot.name) is slot

    def _close_prober(self, slot: _Slot) -> None:
        slot.errors.clear()
        if slot.prober is not None:
            prober, slot.prober = slot.prober, None
            try:
                prober.close()
            except Exception as error:  # noqa: BLE001 - a broken one must not keep a working one from its place
                self._report(slot, error)

    # time

    def _set_alarm(self, slot: _Slot) -> None:
        if slot.wake_at != slot.alarm_at and slot.wake_at < math.inf and self._is_ours(slot):
            slot.alarm_at = slot.wake_at
            heapq.heappush(self._heap, (slot.wake_at, slot.name))
        if len(self._heap) > 4 * len(self._slots) + 16:
            self._heap = [(s.alarm_at, s.name) for s in self._slots.values() if s.alarm_at < math.inf]
            heapq.heapify(self._heap)
        self._set_timer()

    def _set_timer(self) -> None:
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        wake_at = self._heap[0][0] if self._heap else math.inf
        if self._timer is not None:
            if self._timer.when() == wake_at:
                return
            self._timer.cancel()
            self._timer = None
        if wake_at < math.inf:
            self._timer = self._loop.call_at(wake_at, self._wake)

    def _is_stale(self, entry: tuple[float, str]) -> bool:
        slot = self._slots.get(entry[1])
        return slot is None or slot.wake_at != entry[0]

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        due: list[_Slot] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if not self._is_stale(entry):
                slot = self._slots[entry[1]]
                slot.alarm_at = math.inf
                due.append(slot)
        for slot in due:
            self._attend(slot)
        self._set_timer()
