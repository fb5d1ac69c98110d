"""How the slots of a batch are cut into groups, in which searches begin and end."""

import dataclasses
import math
from collections.abc import Iterable, Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Group:
    """Slots that begin or end together: their positions in the group, and their places as `slots.put` takes them."""

    slots: list[int]
    positions: list[int]
    places: np.ndarray


class Groups:
    """How slots are cut into groups of one size, of which each device has an equal part.

    Args:
        batch_size: images that are searched at a time; there are as many slots, or more, so that the devices have
            equally many.
        devices: that the slots are spread over.
        fraction: of the slots that a group has, above 0 and at most 1.
    """

    def __init__(self, batch_size: int, devices: int, fraction: float) -> None:
        self._devices = devices
        self._of_device = -(-batch_size // devices)
        self._part = math.ceil(fraction * self._of_device)
        self.slots = self._of_device * devices
        self.size = self._part * devices

    @property
    def in_turn(self) -> list[int]:
        """All slots, those of the devices in turn."""
        return [device * self._of_device + place for place in range(self._of_device) for device in range(self._devices)]

    @property
    def nowhere(self) -> np.ndarray:
        """The places of a group that holds no slot, `[size]` int32."""
        return np.full((self.size,), self._of_device, np.int32)

    def cut(self, chosen: Iterable[int]) -> Iterator[Group]:
        """Cuts slots into groups; a place that holds none is past the device's last."""
        of_devices: list[list[int]] = [[] for _ in range(self._devices)]
        for slot in chosen:
            of_devices[slot // self._of_device].append(slot)
        for first in range(0, max(map(len, of_devices)), self._part):
            places = self.nowhere
            group: list[int] = []
            positions: list[int] = []
            for device, its in enumerate(of_devices):
                for offset, slot in enumerate(its[first : first + self._part]):
                    position = device * self._part + offset
                    places[position] = slot % self._of_device
                    group.append(slot)
                    positions.append(position)
            yield Group(group, positions, places)
