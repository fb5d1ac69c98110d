"""Scenes: small pictures of one object among clutter, with its class and its true mask; a pure function of a key.

Each scene shows one object of one of ten classes, of any size, position, rotation, colour and texture, on a textured
background with distractors that belong to no class. The clutter varies from none to a crowd.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

SIZE = 64  # pixels, height and width of a scene
_SAMPLES = 2  # samples per pixel in each direction, for smooth edges
_DISTRACTORS = 5  # per scene, at most

Field = Callable[[jax.Array, jax.Array], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scene:
    """One scene, or a batch of them with leading axes.

    Attributes:
        image: `[64, 64, 3]` uint8.
        label: `[]` int32, the object's class.
        mask: `[64, 64]` bool, the object's pixels.
    """

    image: jax.Array
    label: jax.Array
    mask: jax.Array


def generate(keys: jax.Array, *, with_object: bool = True, shuffle_colour: bool = False) -> Scene:
    """Generates one scene per key.

    Args:
        keys: `[B]` keys.
        with_object: False leaves the object out and everything else unchanged: a classifier that still predicts its
            class takes a shortcut.
        shuffle_colour: True recolours the object at random and leaves everything else unchanged: a classifier that no
            longer predicts its class relies on colour.

    Returns:
        A batch of scenes.
    """
    return _generate(keys, with_object, shuffle_colour)


def _triangle(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.maximum(-v, jnp.maximum(0.866 * u + 0.5 * v, -0.866 * u + 0.5 * v)) < 0.5


def _square(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.abs(u), jnp.abs(v)) < 0.75


def _star(u: jax.Array, v: jax.Array) -> jax.Array:
    sector = 2 * jnp.pi / 5
    angle = jnp.abs((jnp.arctan2(v, u) + sector / 2) % sector - sector / 2)  # 0 at a tip, sector / 2 at a notch
    radius = jnp.hypot(u, v)
    along, across = radius * jnp.cos(angle), radius * jnp.sin(angle)
    notch_along, notch_across = 0.42 * jnp.cos(sector / 2), 0.42 * jnp.sin(sector / 2)
    return along * notch_across + across * (1 - notch_along) < notch_across


def _cross(u: jax.Array, v: jax.Array) -> jax.Array:
    u, v = jnp.abs(u), jnp.abs(v)
    return jnp.minimum(jnp.maximum(u, 3 * v), jnp.maximum(v, 3 * u)) < 0.95


def _ring(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.abs(jnp.hypot(u, v) - 0.7) < 0.2


def _heart(u: jax.Array, v: jax.Array) -> jax.Array:
    u, v = 1.2 * u, 1.2 * v + 0.1
    return (u**2 + v**2 - 0.7) ** 3 < u**2 * v**3 * 1.5


def _crescent(u: jax.Array, v: jax.Array) -> jax.Array:
    return (jnp.hypot(u, v) < 0.95) & (jnp.hypot(u - 0.5, v) > 0.75)


def _arrow(u: jax.Array, v: jax.Array) -> jax.Array:
    shaft = (jnp.abs(v) < 0.2) & (jnp.abs(u + 0.4) < 0.55)
    return shaft | ((u > 0.05) & (jnp.abs(v) < 0.75 * (1 - u)))


def _hourglass(u: jax.Array, v: jax.Array) -> jax.Array:
    return (jnp.abs(u) < 0.1 + 0.75 * jnp.abs(v)) & (jnp.abs(v) < 0.85)


def _flower(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.hypot(u, v) < 0.65 + 0.28 * jnp.cos(6 * jnp.arctan2(v, u))


_SHAPES: dict[str, Field] = {
    "triangle": _triangle,
    "square": _square,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "heart": _heart,
    "crescent": _crescent,
    "arrow": _arrow,
    "hourglass": _hourglass,
    "flower": _flower,
}
CLASSES = tuple(_SHAPES)


def _axes(samples: int) -> tuple[jax.Array, jax.Array]:
    """Returns the x and y of every pixel's samples, in pixels."""
    steps = (jnp.arange(SIZE * samples, dtype=jnp.float32) + 0.5) / samples
    y, x = jnp.meshgrid(steps, steps, indexing="ij")
    return x, y


def _frame(centre: jax.Array, radius: jax.Array, angle: jax.Array, samples: int) -> tuple[jax.Array, jax.Array]:
    """Returns the coordinates of each sample in the frame of a shape, where its radius is 1."""
    x, y = _axes(samples)
    x, y = (x - centre[0]) / radius, (y - centre[1]) / radius
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x


def _coverage(inside: jax.Array) -> jax.Array:
    """Returns the fraction of the samples of each pixel that are inside, `[64, 64, 1]`."""
    return jnp.mean(inside.reshape(SIZE, _SAMPLES, SIZE, _SAMPLES), axis=(1, 3), dtype=jnp.float32)[..., None]


def _pattern(numbers: jax.Array, noise: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Returns a pattern in [0, 1]: plain, stripes, checks, dots or noise; `numbers` is `[3]` uniform."""
    frequency, angle = 4 + 5 * numbers[1], jnp.pi * numbers[2]
    a = jnp.sin(frequency * (jnp.cos(angle) * u + jnp.sin(angle) * v))
    b = jnp.sin(frequency * (jnp.cos(angle) * v - jnp.sin(angle) * u))
    patterns = [jnp.zeros_like(a), a > 0, a * b > 0, a + b > 1, noise]
    kind = jnp.floor(numbers[0] * len(patterns)).astype(jnp.int32)
    return jnp.select([kind == i for i in range(len(patterns))], [p.astype(jnp.float32) for p in patterns])


def _paint(numbers: jax.Array, noise: jax.Array, u: jax.Array, v: jax.Array, behind: jax.Array) -> jax.Array:
    """Returns pixels of two colours, the first far from `behind` so that a shape is visible; `numbers` is `[19]`."""
    candidates, second = numbers[:12].reshape(4, 3), numbers[12:15]
    first = candidates[jnp.argmax(jnp.sum((candidates - behind[None]) ** 2, axis=1))]
    pattern = (0.5 * numbers[15] * _pattern(numbers[16:], noise, u, v))[..., None]
    return first[None, None] + (second - first)[None, None] * pattern


def _background(numbers: jax.Array, coarse: jax.Array, fine: jax.Array, clutter: jax.Array) -> jax.Array:
    colours = numbers[:9].reshape(3, 1, 1, 3)
    x, y = _axes(1)
    pattern = _pattern(numbers[9:12], fine, x / 24, y / 24)[..., None]
    pixels = colours[0] + clutter * coarse[..., None] * (colours[1] - colours[0])
    pixels = pixels + 0.5 * clutter * pattern * (colours[2] - pixels)
    return pixels + 0.35 * clutter * (fine[..., None] - 0.5)


def _add_distractor(pixels: jax.Array, numbers: jax.Array, noise: jax.Array, clutter: jax.Array) -> jax.Array:
    """Paints a shape of no class (ellipse, bar or smooth blob) with probability `clutter`; `numbers` is `[31]`."""
    centre, radius, angle = SIZE * numbers[:2], 4 + 8 * numbers[2], 2 * jnp.pi * numbers[3]
    u, v = _frame(centre, radius, angle, _SAMPLES)
    theta, distance = jnp.arctan2(v, u), jnp.hypot(u, v)
    waves = (2 * numbers[4:8] - 1) * jnp.array([0.12, 0.12, 0.06, 0.06])
    outline = 0.8 + waves[0] * jnp.cos(2 * theta) + waves[1] * jnp.sin(2 * theta)
    outline = outline + waves[2] * jnp.cos(3 * theta) + waves[3] * jnp.sin(3 * theta)
    ellipse, bar = jnp.hypot(u, v * (1.2 + numbers[8])) < 1, (jnp.abs(v) < 0.12) & (jnp.abs(u) < 1.6)
    kind = jnp.floor(3 * numbers[9])
    shape = jnp.select([kind == 0, kind == 1], [ellipse, bar], distance < outline)
    alpha = jnp.where(numbers[10] < clutter, _coverage(shape), 0.0)
    paint = _paint(numbers[12:], noise, *_frame(centre, radius, angle, 1), jnp.mean(pixels, axis=(0, 1)))
    return pixels + alpha * (paint - pixels)


def _scene(key: jax.Array, with_object: bool, shuffle_colour: bool) -> Scene:
    keys = jax.random.split(key, 4)
    numbers = jax.random.uniform(keys[0], (1 + 12 + 6 + 2 * 19,))
    shapes = jax.random.uniform(keys[1], (_DISTRACTORS, 31))
    noises = jax.random.uniform(keys[2], (_DISTRACTORS + 2, 20, 20))
    noises = jax.image.resize(noises, (_DISTRACTORS + 2, SIZE, SIZE), "linear")
    coarse = jax.image.resize(jax.random.uniform(keys[3], (4, 4)), (SIZE, SIZE), "linear")

    clutter = numbers[0]
    pixels = _background(numbers[1:13], coarse, noises[0], clutter)
    pixels, _ = jax.lax.scan(
        lambda pixels, part: (_add_distractor(pixels, *part, clutter), None), pixels, (shapes, noises[2:])
    )

    position, paints = numbers[13:19], numbers[19:].reshape(2, 19)
    label = jnp.floor(position[0] * len(CLASSES)).astype(jnp.int32)
    radius, angle = 10 + 12 * position[1], 2 * jnp.pi * position[2]
    centre = 0.9 * radius + position[3:5] * (SIZE - 1.8 * radius)
    u, v = _frame(centre, radius, angle, _SAMPLES)
    shapes_of_classes = [field(u, v) for field in _SHAPES.values()]
    shape = jnp.select([label == i for i in range(len(CLASSES))], shapes_of_classes, jnp.bool_(False))
    alpha = _coverage(shape)
    if with_object:
        behind = jnp.sum(pixels * alpha, axis=(0, 1)) / jnp.sum(alpha)
        paint = _paint(paints[int(shuffle_colour)], noises[1], *_frame(centre, radius, angle, 1), behind)
        pixels = pixels + alpha * (paint - pixels)
    image = jnp.round(jnp.clip(pixels, 0, 1) * 255).astype(jnp.uint8)
    return Scene(image=image, label=label, mask=alpha[..., 0] >= 0.5)


_generate = jax.jit(jax.vmap(_scene, in_axes=(0, None, None)), static_argnums=(1, 2))
