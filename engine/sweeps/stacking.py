"""Many posteriors of one shape in one program, stacked along a leading axis."""

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
    """What a program needs of one posterior.

    Attributes
    ----------
    posterior : Posterior
        The posterior.
    channels : Channels
        What carries its impacts.
    own, lagged : array of int, (v,)
        Positions of x and of W x among its terms, -1 for none.
    """

    posterior: Posterior
    channels: Channels
    own: np.ndarray
    lagged: np.ndarray


class Drawn(NamedTuple):
    """Draws of the parameters and of the impacts, (m, n, ...), and how good they are."""

    draw: Draw
    impacts: Impacts
    quality: Quality


def signature_of(member: Member) -> tuple[Any, ...]:
    """What members must share to be stacked, once their series are padded to one length."""
    padded = pad(member, 0, 0)
    shapes = tuple((np.shape(part), np.asarray(part).dtype.str) for part in jax.tree.leaves(padded))
    return jax.tree.structure(padded), shapes


def measure(member: Member) -> tuple[int, int]:
    """The length of the longest series of a member, and the largest number of complex pairs."""
    records = [part for part in jax.tree.leaves(member, is_leaf=_is_record) if _is_record(part)]
    terms = max([len(part.coef) for part in records], default=0)
    pairs = max([len(getattr(part, "pairs", ())) for part in records], default=0)
    return terms, pairs


def pad(member: Member, terms: int, pairs: int) -> Member:
    """Pad the series of a member with zeros.

    All get `terms` coefficients and `pairs` complex pairs. With 0 and 0 all series are empty.
    """

    def pad_record(part: Any) -> Any:
        if not _is_record(part):
            return part
        coef = _pad_rows(part.coef, terms)
        if isinstance(part, LogDetSeries):
            return part._replace(coef=coef, pairs=_pad_rows(part.pairs, pairs))
        return part._replace(coef=coef)

    padded: Member = jax.tree.map(pad_record, member, is_leaf=_is_record)
    return padded


def _is_record(part: Any) -> bool:
    """Whether it is a record with a series."""
    return isinstance(part, LogDetSeries | Multiplier)


def _pad_rows(rows: jax.Array, count: int) -> jax.Array:
    """The first `count` rows, with rows of zeros where there are fewer."""
    padded = np.zeros((count, *np.shape(rows)[1:]))
    kept = min(count, len(rows))
    padded[:kept] = np.asarray(rows)[:kept]
    return leaf(padded)


def stack(members: Sequence[Any]) -> Any:
    """Records of one structure as one record with a leading axis."""
    return jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *members)


@partial(jax.jit, static_argnames=("points", "batch"))
def sample(members: Member, noise: Noise, *, points: int, batch: int | None) -> Drawn:
    """Draw from stacked members exactly.

    Parameters
    ----------
    members : Member
        Stacked members, with a leading axis of m.
    noise : Noise
        Their random numbers, likewise.
    points : int
        Points of the quadrature.
    batch : int or None
        How many members run side by side; None: one after the other, which suits a CPU.

    Returns
    -------
    Drawn
        Draws of parameters and impacts, and their quality.
    """

    def draw_one(pair: tuple[Member, Noise]) -> Drawn:
        member, own_noise = pair
        draw, quality = exact.sample(member.posterior, own_noise, points=points)
        return Drawn(draw, average_impacts(member, draw), quality)

    drawn: Drawn = jax.lax.map(draw_one, (members, noise), batch_size=batch)
    return drawn


def average_impacts(member: Member, draw: Draw) -> Impacts:
    """Average impacts of draws, (n, v)."""
    beta, theta = impacts.split_coefficients(draw.beta, member.own, member.lagged)
    averages: Impacts = impacts.average(member.channels, beta, theta, draw.rho)
    return averages
