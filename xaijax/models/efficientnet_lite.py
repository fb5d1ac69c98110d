"""EfficientNet-Lite: MobileNetV2's blocks with some larger kernels, scaled in width and depth.

References:
    Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (2019), arXiv 1905.11946.
    The `lite` folder of tensorflow/tpu's EfficientNet, for what is left out (squeeze and excitation, swish) and what is
    not scaled (the channels of both ends, the blocks of the first and the last stage).
"""

import math

from xaijax.models.mobilenet_v2 import MobileNetV2Config
from xaijax.models.weights import Table, conv_norm_rows, linear_rows

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 40, 2, 2), (6, 80, 3, 2), (6, 112, 3, 1), (6, 192, 4, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and first stride of each stage, of width and depth 1."""

KERNELS = (3, 3, 5, 3, 5, 5, 3)
"""Of each stage."""


def scaled(width: float, depth: float) -> MobileNetV2Config:
    """Returns the network whose stages have `width` times the channels, and `depth` times the blocks."""
    first, *inner, last = STAGES
    deeper = [(expansion, out, math.ceil(depth * blocks), stride) for expansion, out, blocks, stride in inner]
    return MobileNetV2Config(width, (first, *deeper, last), kernels=KERNELS, fixed_ends=True)


def converted_table(config: MobileNetV2Config) -> Table:
    """Returns the names in checkpoints converted from TensorFlow, which number all blocks consecutively."""
    table = conv_norm_rows("_conv_stem", "_bn0", "stem")
    number = 0
    for stage, (expansion, _, depth, _) in enumerate(config.stages):
        for block in range(depth):
            source, target = f"_blocks.{number}", f"stages.{stage}.{block}"
            if expansion != 1:
                table |= conv_norm_rows(f"{source}._expand_conv", f"{source}._bn0", f"{target}.expand")
            table |= conv_norm_rows(f"{source}._depthwise_conv", f"{source}._bn1", f"{target}.depthwise")
            table |= conv_norm_rows(f"{source}._project_conv", f"{source}._bn2", f"{target}.project")
            number += 1
    return table | conv_norm_rows("_conv_head", "_bn1", "last") | linear_rows("_fc", "head")
