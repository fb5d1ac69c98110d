"""Pictures of an explanation: kept pixels, score map and overlay, in colours that colour-blind eyes can tell apart."""

import bisect
import functools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Dark blue - white - dark orange: distinct in all common kinds of colour vision.
_AGAINST, _NEUTRAL, _FOR = (33, 102, 172), (247, 247, 247), (217, 95, 2)
_OUTLINE = (255, 221, 0)
_INK, _PAPER, _FAINT = (17, 17, 17), (255, 255, 255), (90, 90, 90)
PANEL = 224  # pixels, side of one panel


def score_colours(score: np.ndarray, std: np.ndarray | None = None) -> np.ndarray:
    """Colours a score map: orange for the class, blue against it, white neutral.

    Args:
        score: `[H, W]` float; it is scaled by its largest magnitude.
        std: `[H, W]` float, its standard deviation. Where given, a score's colour is the paler the less sure it is: a
            score of one standard deviation has half of its colour, one of three has nine tenths.

    Returns:
        `[H, W, 3]` uint8.
    """
    if std is not None:
        score = score * np.divide(score**2, score**2 + std**2, out=np.zeros_like(score), where=score != 0)
    scale = np.abs(score).max()
    level = np.clip(score / scale if scale > 0 else np.zeros_like(score), -1, 1)[..., None]
    neutral = np.array(_NEUTRAL, float)
    side = np.where(level > 0, np.array(_FOR, float), np.array(_AGAINST, float))
    return np.round(neutral + np.abs(level) * (side - neutral)).astype(np.uint8)


def kept_pixels(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Shows the kept pixels on a grey checkerboard, on which black pixels are visible too; `[H, W, 3]` uint8."""
    y, x = np.indices(mask.shape) // max(1, mask.shape[0] // 28)
    check = np.where((y + x) % 2 == 0, 205, 235).astype(np.uint8)[..., None]
    return np.where(mask[..., None], _rgb(image), check)


def overlay(image: np.ndarray, mask: np.ndarray, *, outline: int = 1) -> np.ndarray:
    """Dims the pixels outside the mask and draws its outline, `outline` pixels wide; `[H, W, 3]` uint8."""
    rgb = _rgb(image)
    grey = np.mean(rgb, axis=2, keepdims=True)
    dimmed = (0.35 * grey + 0.1 * rgb + 70).astype(np.uint8)
    picture = np.where(mask[..., None], rgb, dimmed)
    edge = np.zeros_like(mask)
    for step in range(1, outline + 1):
        edge[:-step] |= mask[:-step] != mask[step:]
        edge[:, :-step] |= mask[:, :-step] != mask[:, step:]
    picture[edge] = _OUTLINE
    return picture


def full_size_overlay(photograph: Image.Image, mask: np.ndarray, crop: tuple[int, int, int, int]) -> Image.Image:
    """Draws the overlay at the size of the photograph; pixels outside the classifier's crop are dimmed too.

    Args:
        photograph: of any mode.
        mask: `[H, W]` bool.
        crop: left, top, right and bottom of the mask in pixels of the photograph; it may extend beyond it.
    """
    left, top, right, bottom = crop
    large = Image.fromarray(mask).resize((right - left, bottom - top), Image.Resampling.NEAREST)
    kept = Image.new("1", photograph.size)
    kept.paste(large, (left, top))
    outline = max(1, round(min(photograph.size) / PANEL))
    return Image.fromarray(overlay(np.asarray(photograph.convert("RGB")), np.asarray(kept), outline=outline))


def panel(
    image: np.ndarray,
    mask: np.ndarray,
    score: np.ndarray,
    std: np.ndarray | None = None,
    *,
    title: str,
    figures: str,
    shown: str = "kept pixels",
) -> Image.Image:
    """Draws the original, the pixels of the mask, the score map and the overlay side by side, with captions.

    Args:
        image: `[H, W, C]` uint8, C 1 or 3.
        mask: `[H, W]` bool.
        score: `[H, W]` float.
        std: see `score_colours`.
        title: first line, the class.
        figures: second line.
        shown: caption of the mask's pixels.
    """
    pictures = [_rgb(image), kept_pixels(image, mask), score_colours(score, std), None]
    colours = "score: orange for, blue against" if std is None else "orange for, blue against, pale unsure"
    captions = ["original", shown, colours, "overlay"]
    height = max(1, round(PANEL * mask.shape[0] / mask.shape[1]))
    gap, top, bottom = 8, 52, 24
    width = 4 * PANEL + 5 * gap
    sheet = Image.new("RGB", (width, top + height + bottom), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, 5), _fit(title, _font(18), width - 2 * gap), _INK, _font(18))
    draw.text((gap, 30), _fit(figures, _font(13), width - 2 * gap), _FAINT, _font(13))
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        if picture is None:  # the outline is drawn at the panel's size, so that it stays one pixel wide
            large = np.asarray(Image.fromarray(mask).resize((PANEL, height), Image.Resampling.NEAREST))
            smooth = np.asarray(Image.fromarray(_rgb(image)).resize((PANEL, height), Image.Resampling.BICUBIC))
            tile = Image.fromarray(overlay(smooth, large))
        else:
            tile = Image.fromarray(picture).resize((PANEL, height), Image.Resampling.NEAREST)
        left = gap + index * (PANEL + gap)
        sheet.paste(tile, (left, top))
        draw.text((left, top + height + 4), caption, _FAINT, _font(13))
    return sheet


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Puts text on one line and shortens it until it fits, so that a long label never runs off the sheet."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    lengths = range(1, len(text))
    kept = bisect.bisect_right(lengths, width, key=lambda length: math.ceil(font.getlength(text[:length] + "...")))
    return text[:kept].rstrip() + "..."


def _rgb(image: np.ndarray) -> np.ndarray:
    if image.shape[2] == 3:
        return image
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image[..., :3] if image.shape[2] > 3 else np.repeat(image[..., :1], 3, axis=2)
