"""Connected components of a label map, on the device."""

import jax
import jax.numpy as jnp


def connected_components(labels: jax.Array) -> jax.Array:
    """Labels the 4-connected components of equal labels.

    Each round propagates the lowest raster index to neighbouring pixels and then follows it by pointer jumping, so the
    number of rounds grows with the logarithm of a component's extent.

    Args:
        labels: `[H, W]` int32.

    Returns:
        `[H, W]` int32: the component of each pixel, labelled by the raster index of its first pixel.
    """
    height, width = labels.shape
    index = jnp.arange(height * width, dtype=jnp.int32).reshape(height, width)
    below = labels[:-1] == labels[1:]
    beside = labels[:, :-1] == labels[:, 1:]

    def lower(roots: jax.Array) -> jax.Array:
        far = jnp.int32(height * width)
        vertical = jnp.where(below, jnp.minimum(roots[:-1], roots[1:]), far)
        horizontal = jnp.where(beside, jnp.minimum(roots[:, :-1], roots[:, 1:]), far)
        roots = jnp.minimum(roots, jnp.pad(vertical, ((0, 1), (0, 0)), constant_values=far))
        roots = jnp.minimum(roots, jnp.pad(vertical, ((1, 0), (0, 0)), constant_values=far))
        roots = jnp.minimum(roots, jnp.pad(horizontal, ((0, 0), (0, 1)), constant_values=far))
        return jnp.minimum(roots, jnp.pad(horizontal, ((0, 0), (1, 0)), constant_values=far))

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        roots, _ = carry
        lowered = lower(roots)
        # The old root of a component takes the lower index too, so that whole regions join at once.
        flat = roots.reshape(-1)
        joined = flat.at[flat].min(lowered.reshape(-1))
        jumped = jnp.minimum(lowered.reshape(-1), joined)
        jumped = jumped[jumped]
        jumped = jumped[jumped].reshape(height, width)
        return jumped, jnp.any(jumped != roots)

    return jax.lax.while_loop(lambda carry: carry[1], body, (index, jnp.bool_(True)))[0]


def merge_small(components: jax.Array, *, smallest: int) -> jax.Array:
    """Merges every component of fewer than `smallest` pixels into the one left of, or else above, its first pixel.

    Args:
        components: `[H, W]` int32, as `connected_components` returns them.
        smallest: minimum size of a component in pixels.

    Returns:
        `[H, W]` int32, components labelled as before; the one in the top left corner is kept, whatever its size.
    """
    height, width = components.shape
    index = jnp.arange(height * width, dtype=jnp.int32)
    flat = components.reshape(-1)
    size = jnp.zeros((height * width,), jnp.int32).at[flat].add(1)
    left, above = flat[jnp.maximum(index - 1, 0)], flat[jnp.maximum(index - width, 0)]
    neighbour = jnp.where(index % width > 0, left, above)
    parent = jnp.where((size < smallest) & (index > 0), neighbour, index)
    # A parent's first pixel comes earlier, so the chains end; doubling follows the longest in log2(pixels) rounds.
    for _ in range(max(1, (height * width).bit_length())):
        parent = parent[parent]
    return parent[components]


def number_in_order(components: jax.Array) -> jax.Array:
    """Numbers components 0, 1, ... in the raster order of their first pixels; `[H, W]` int32."""
    flat = components.reshape(-1)
    present = jnp.zeros((flat.shape[0],), jnp.bool_).at[flat].set(True)
    return (jnp.cumsum(present, dtype=jnp.int32) - 1)[components]
