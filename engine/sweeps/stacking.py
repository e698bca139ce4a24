"""Many posteriors of one shape in one program: stacked and mapped."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from spillover.kernels.arrays import leaf
from spillover.kernels.logdet import LogDetSeries
from spillover.kernels.multiplier import Multiplier
from spillover.models import exact, impacts
from spillover.models.exact import Noise, Quality
from spillover.models.impacts import Channels, Impacts
from spillover.models.posterior import Draw, Posterior


class Member(NamedTuple):
    """What a program needs of one posterior: the posterior, what carries its impacts, positions of
    X and of W X among its terms.
    """

    posterior: Posterior
    channels: Channels
    own: np.ndarray
    lagged: np.ndarray


class Drawn(NamedTuple):
    """Draws of the parameters and of the impacts, (members, draws, ...), and how good they are."""

    draw: Draw
    impacts: Impacts
    quality: Quality


def signature(member: Member) -> tuple:
    """Members with the same signature can be stacked once their series are padded to one length."""
    padded = padded_to(member, 0, 0)
    shapes = tuple((np.shape(part), np.asarray(part).dtype.str) for part in jax.tree.leaves(padded))
    return jax.tree.structure(padded), shapes


def lengths(member: Member) -> tuple[int, int]:
    """The longest series and the most complex pairs in a member."""
    records = [part for part in jax.tree.leaves(member, is_leaf=_is_record) if _is_record(part)]
    return max([len(part.coef) for part in records], default=0), max(
        [len(getattr(part, "pairs", ())) for part in records], default=0
    )


def padded_to(member: Member, terms: int, pairs: int) -> Member:
    """The member with all series of `terms` coefficients and `pairs` complex pairs, zeros being
    added; 0, 0: without any.
    """

    def pad(part: Any) -> Any:
        if not _is_record(part):
            return part
        coef = _pad(part.coef, terms)
        return (
            part._replace(coef=coef, pairs=_pad(part.pairs, pairs))
            if isinstance(part, LogDetSeries)
            else part._replace(coef=coef)
        )

    return jax.tree.map(pad, member, is_leaf=_is_record)


def _is_record(part: Any) -> bool:
    return isinstance(part, LogDetSeries | Multiplier)


def _pad(rows: jax.Array, count: int) -> jax.Array:
    found = np.zeros((count, *np.shape(rows)[1:]))
    kept = min(count, len(rows))
    found[:kept] = np.asarray(rows)[:kept]
    return leaf(found)


def stack(members: Sequence[Any]) -> Any:
    """Records of one structure as one with a leading axis."""
    return jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *members)


@partial(jax.jit, static_argnames=("points", "batch"))
def sample(members: Member, noise: Noise, *, points: int, batch: int | None) -> Drawn:
    """Exact draws of stacked members, `batch` of them at a time, by default one by one, which suits
    a CPU.
    """

    def one(pair: tuple[Member, Noise]) -> Drawn:
        member, own_noise = pair
        draw, quality = exact.sample(member.posterior, own_noise, points=points)
        return Drawn(draw, effects_of(member, draw), quality)

    return jax.lax.map(one, (members, noise), batch_size=batch)


def effects_of(member: Member, draw: Draw) -> Impacts:
    """Average impacts of draws (n, ...)."""
    beta, theta = impacts.split_coefficients(draw.beta, member.own, member.lagged)
    return impacts.average(member.channels, beta, theta, draw.rho)
