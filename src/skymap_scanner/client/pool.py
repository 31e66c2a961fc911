"""The children of a client and the tasks that it holds: who gets which, and how many to hold."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from skymap_scanner.client.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from skymap_scanner.broker import Delivery
    from skymap_scanner.client.pipes import Reply
    from skymap_scanner.client.slot import Death
    from skymap_scanner.scan.messages import FailureKind

__all__ = ["Pool", "PoolOwner", "PoolPlan"]

logger = logging.getLogger(__name__)

#: So many children in a row that end before their first task: the next one would too.
MAX_START_FAILURES: Final = 3
#: Enough tasks are held for a child to be busy for so long, while more are on their way [s].
_BUSY_S: Final = 0.05
#: More are never held per child.
_MAX_DEPTH: Final = 64
#: Tasks wait so long for a child that is being replaced, looked after so often [s].
_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 0.2
#: Weight of the newest task in the mean time per task.
_NEWEST: Final = 0.05


class PoolOwner(Protocol):
    """Who is told what becomes of the tasks."""

    def on_outcome(self, delivery: Delivery, reply: Reply) -> None:
        """Take what a child made of a task."""

    def on_failure(self, delivery: Delivery, kind: FailureKind, reason: str) -> None:
        """Note that the child that was at this task is no more."""

    def on_hopeless(self, reason: str) -> None:
        """End: no child can be started."""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """How to run the children.

    Attributes
    ----------
    n_children : int
        How many.
    command : sequence of str
        What each runs.
    environment : mapping of str to str
        Its environment.
    task_timeout_s : float
        Time for one task; then its child is killed [s].
    min_depth : int
        Tasks held per child at least, the one in progress included.
    startup : bytes
        The startup JSON, for the children.
    """

    n_children: int
    command: Sequence[str]
    environment: Mapping[str, str]
    task_timeout_s: float
    min_depth: int = 1
    startup: bytes = b""


class Pool:
    """Some children and the tasks that they have or will get.

    A task leaves through `PoolOwner.on_outcome` or `PoolOwner.on_failure`, or never: then it is not
    settled, and closing the consumer gives it back.

    Parameters
    ----------
    plan : PoolPlan
        How to run the children.
    owner : PoolOwner
        Is told what becomes of the tasks.
    """

    def __init__(self, plan: PoolPlan, owner: PoolOwner) -> None:
        self._plan = plan
        self._owner = owner
        self._slots = [
            Slot(
                number,
                command=plan.command,
                environment=plan.environment,
                owner=self,
                task_timeout_s=plan.task_timeout_s,
                startup=plan.startup,
            )
            for number in range(plan.n_children)
        ]
        #: Tasks that no child has got yet; the first is next.
        self._waiting: deque[Delivery] = deque()
        #: Set while there is a child that takes tasks, or was one lately: else they would wait here
        #: for nothing.
        self.is_fit = asyncio.Event()
        #: Mean time per task [s]; NaN before the first.
        self._mean_runtime_s = math.nan
        #: Slot number -> how often its child could not start since any child was ready.
        self._start_failures: Counter[int] = Counter()

    @property
    def depth(self) -> int:
        """How many tasks to hold per child.

        One while a task takes long compared to asking for the next, so that none waits behind
        another here while a child elsewhere is idle; many when tasks take less than that.
        """
        wanted = 1
        if self._mean_runtime_s < _BUSY_S:  # false for NaN
            wanted = math.ceil(_BUSY_S / max(self._mean_runtime_s, _BUSY_S / _MAX_DEPTH))
        return max(wanted, self._plan.min_depth)

    @property
    def n_wanted(self) -> int:
        """How many tasks to hold in all: children that cannot take any do not count."""
        return self.depth * max(1, sum(slot.is_ready for slot in self._slots))

    @property
    def n_held(self) -> int:
        """How many tasks are waiting or in a child's pipe."""
        return len(self._waiting) + sum(slot.n_tasks for slot in self._slots)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Take tasks and hand out what the children can take."""
        self._waiting.extend(deliveries)
        self._hand_out()

    def check_time(self) -> None:
        """Kill children whose task takes too long; to be called now and then."""
        for slot in self._slots:
            slot.check_time()

    async def until_unfit(self) -> None:
        """Wait until no child has taken tasks for a while; drop the tasks that are waiting then.

        They are not settled: closing the consumer gives them back.
        """
        loop = asyncio.get_running_loop()
        last_fit = loop.time()
        while loop.time() - last_fit < _PATIENCE_S:
            await asyncio.sleep(_LOOK_S)
            if any(slot.is_ready for slot in self._slots):
                last_fit = loop.time()
        self.is_fit.clear()
        self._waiting.clear()

    async def run(self) -> None:
        """Keep the children alive until cancelled; they are dead when this returns."""
        async with asyncio.TaskGroup() as group:
            for slot in self._slots:
                group.create_task(slot.run())

    def _hand_out(self) -> None:
        """Give the waiting tasks to the children that have the fewest."""
        depth = self.depth
        slots = [slot for slot in self._slots if slot.is_ready and slot.n_tasks < depth]
        while self._waiting and slots:
            slots.sort(key=lambda slot: slot.n_tasks)
            slot = slots[0]
            # As many as bring it level with the next one, at least one.
            level = slots[1].n_tasks + 1 if len(slots) > 1 else depth
            n = min(max(level - slot.n_tasks, 1), depth - slot.n_tasks, len(self._waiting))
            slot.send([self._waiting.popleft() for _ in range(n)])
            if slot.n_tasks >= depth:
                slots.remove(slot)

    # ---- what the slots report

    def on_ready(self, slot: Slot) -> None:
        """Note that a child takes tasks."""
        logger.info("child %d is ready", slot.number)
        self._start_failures.clear()
        self.is_fit.set()
        self._hand_out()

    def on_reply(self, slot: Slot, delivery: Delivery, reply: Reply) -> None:  # noqa: ARG002
        """Pass an outcome on."""
        if math.isnan(self._mean_runtime_s):
            self._mean_runtime_s = reply.runtime_s
        self._mean_runtime_s += _NEWEST * (reply.runtime_s - self._mean_runtime_s)
        self._owner.on_outcome(delivery, reply)

    def on_pause(self, slot: Slot) -> None:  # noqa: ARG002
        """Hand out more tasks."""
        self._hand_out()

    def on_death(self, slot: Slot, death: Death) -> None:
        """Report the task in progress as failed, and give the others to another child."""
        logger.warning("child %d: %s; starting another", slot.number, death.reason)
        self._waiting.extendleft(reversed(death.queued))
        if death.in_progress is not None:
            self._owner.on_failure(death.in_progress, death.kind, death.reason)
        self._hand_out()

    def on_start_failure(self, slot: Slot, reason: str) -> None:
        """Count; too many in a row end the client, unless another child works or may do so yet."""
        self._start_failures[slot.number] += 1
        logger.error("child %d could not start: %s", slot.number, reason)
        n = self._start_failures.total()
        have_all_failed = len(self._start_failures) == len(self._slots)
        is_any_ready = any(other.is_ready for other in self._slots)
        if n >= MAX_START_FAILURES and have_all_failed and not is_any_ready:
            self._owner.on_hopeless(
                f"no reconstruction can be started ({n} children in a row failed): {reason}"
            )
