"""What several tests read off a traced program."""

import jax


def equations(jaxpr):
    """Yields the equations of a jaxpr, and those of the jaxprs within them."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)
