"""iRprop+: resilient backpropagation with backtracking, a first order method that uses the signs of a gradient only.

Per coordinate, with the gradient g, the one stored before g', the step size Delta and the last move d':

    g g' > 0:  Delta <- min(1.2 Delta, 50),   d = -sign(g) Delta
    g g' < 0:  Delta <- 0.5 Delta,            d = -d' if the objective has risen, else 0;   g is stored as 0
    g g' = 0:                                 d = -sign(g) Delta

Source: Igel and Huesken, "Empirical evaluation of the improved Rprop learning algorithms", Neurocomputing 50 (2003).
"""

from __future__ import annotations

import numpy as np

from ...arrays.namespaces import Array, cast, namespace

GROW, SHRINK = 1.2, 0.5
FIRST_STEP, LARGEST_STEP = 0.0123, 50.0


class IRprop:
    """The memory of iRprop+ over some arrays.

    An objective of one number is tested for all coordinates at once, as published.  An objective of shape (n, 1),
    one number a row, makes each row a problem of its own, so that none depends on the others.
    """

    def __init__(self, xs: list[Array]) -> None:
        xp = namespace(xs[0])
        self.steps = [xp.full_like(x, FIRST_STEP) for x in xs]
        self.moves = [xp.zeros_like(x) for x in xs]
        self.signs = [xp.zeros_like(x) for x in xs]
        self.value: float | Array = np.inf

    def move(self, xs: list[Array], gradients: list[Array], value: float | Array) -> None:
        """Move `xs`, in place, away from where `gradients` and `value` were taken."""
        xp, risen = namespace(xs[0]), value > self.value
        # 1 where the last move is taken back if the gradient has turned.
        back = cast(risen, xs[0].dtype) if np.ndim(value) else float(risen)
        for k, (x, g) in enumerate(zip(xs, gradients, strict=True)):
            # Products of signs, not of gradients: these would underflow.
            sign = xp.sign(g)
            agreement = sign * self.signs[k]
            turned = agreement < 0
            grown = xp.clip(GROW * self.steps[k], None, LARGEST_STEP)
            step = xp.where(agreement > 0, grown, xp.where(turned, SHRINK * self.steps[k], self.steps[k]))
            self.moves[k] = xp.where(turned, -back * self.moves[k], -sign * step)
            self.signs[k] = xp.where(turned, xp.zeros_like(x), sign)
            self.steps[k] = step
            x += self.moves[k]
        self.value = value

    def keep(self, rows: Array) -> None:
        """Go on with some rows only, given by their indices."""
        xp = namespace(rows)
        self.steps, self.moves, self.signs = (
            [xp.take(a, rows, axis=0) for a in arrays] for arrays in (self.steps, self.moves, self.signs)
        )
        # Before the first move there is one value for all, infinity.
        self.value = xp.take(self.value, rows, axis=0) if np.ndim(self.value) else self.value
