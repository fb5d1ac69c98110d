"""Resizing and cropping are those of the weights' sources."""

import numpy as np
import pytest
from PIL import Image

from xaijax import Classifier
from xaijax.models.preprocessing import centre_crop, preprocess, resized


def classifier(**facts):
    return Classifier.from_function(lambda params, images: images, None, num_classes=2, **facts)


def photograph(width=301, height=200, mode="RGB"):
    rows, columns = np.mgrid[:height, :width]
    waves = [127 + 127 * np.sin(rows / a + columns / b) for a, b in ((9, 7), (23, 5), (4, 31))]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).convert(mode)


def test_short_side_then_centre():
    assert resized((301, 200), 256) == (385, 256)
    assert resized((200, 301), 256) == (256, 385)
    pixels = preprocess(photograph(), classifier(resize=256))
    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    whole = np.asarray(photograph().resize((385, 256), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels, whole[16:240, 80:304])  # 80.5 rounds to the even 80


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_is_pytorchs_to_one_level(interpolation):
    torch = pytest.importorskip("torch", reason="the original needs PyTorch")
    pixels = torch.from_numpy(np.array(photograph())).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(
        pixels.float(), (120, 180), mode=interpolation, antialias=True, align_corners=False
    )
    facts = {"input_size": (120, 180), "interpolation": interpolation}
    own = preprocess(photograph(), classifier(**facts)).astype(np.float32)
    difference = np.abs(own - expected[0].clamp(0, 255).permute(1, 2, 0).numpy())
    assert difference.max() <= 1


def test_without_resize_the_aspect_gives_way():
    assert preprocess(photograph(), classifier(input_size=(64, 48))).shape == (64, 48, 3)


def test_what_is_too_small_is_padded():
    pixels = centre_crop(np.ones((2, 5, 1), np.uint8), (4, 3))
    np.testing.assert_array_equal(pixels[:, :, 0], [[0] * 3, [1] * 3, [1] * 3, [0] * 3])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_modes_and_channels(mode, channels):
    facts = {"input_size": (32, 32), "channels": channels}
    assert preprocess(photograph(mode=mode), classifier(**facts)).shape == (32, 32, channels)


def test_channels_that_no_image_file_has():
    with pytest.raises(ValueError, match="5 channels cannot read image files"):
        preprocess(photograph(), classifier(channels=5))
