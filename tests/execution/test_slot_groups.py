"""Slots cut into groups of one size, of which each device has an equal part."""

import numpy as np
import pytest

from xaijax.execution.slot_groups import Groups


@pytest.mark.parametrize(
    ("batch_size", "devices", "slots", "size"), [(8, 1, 8, 2), (1, 1, 1, 1), (10, 4, 12, 4), (61, 1, 61, 16)]
)
def test_groups_are_a_fraction_of_the_slots_and_every_slot_is_in_one(batch_size, devices, slots, size):
    groups = Groups(batch_size, devices, 0.25)
    assert (groups.slots, groups.size) == (slots, size)
    assert sorted(groups.in_turn) == list(range(slots))
    cut = list(groups.cut(range(slots)))
    assert sorted(slot for group in cut for slot in group.slots) == list(range(slots))
    for group in cut:
        assert group.places.shape == (size,)
        for slot, position in zip(group.slots, group.positions, strict=True):
            device = position // (size // devices)
            assert device * (slots // devices) + group.places[position] == slot


def test_a_group_that_is_not_full_leaves_places_that_no_device_has():
    (group,) = Groups(8, 2, 0.5).cut([5])
    np.testing.assert_array_equal(group.places, [4, 4, 1, 4])
    assert (group.slots, group.positions) == ([5], [2])
    assert list(Groups(8, 2, 0.5).cut([])) == []


def test_the_devices_get_images_in_turn():
    assert Groups(6, 3, 0.25).in_turn == [0, 2, 4, 1, 3, 5]
