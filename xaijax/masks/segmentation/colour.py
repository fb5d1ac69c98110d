"""Colour spaces."""

import jax
import jax.numpy as jnp

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)


def rgb_to_lab(pixels: jax.Array) -> jax.Array:
    """Converts sRGB in [0, 1] to CIE L*a*b* under D65, 2 degrees; `[..., 3]` float32.

    References:
        IEC 61966-2-1 (1999); CIE 15 (2004).
    """
    linear = jnp.where(pixels > 0.04045, ((pixels + 0.055) / 1.055) ** 2.4, pixels / 12.92)
    xyz = jnp.matmul(linear, jnp.asarray(_TO_XYZ, jnp.float32).T, precision=jax.lax.Precision.HIGHEST)
    xyz = xyz / jnp.broadcast_to(jnp.asarray(_WHITE, jnp.float32), xyz.shape)
    root = jnp.where(xyz > 0.008856, jnp.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
