"""Priors as values: what is refused by name, how they print, when they are equal."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from prior_data import resolve

from spillover.kernels.errors import PriorError
from spillover.models.priors import (
    Conjugate,
    Flat,
    InverseGamma,
    Priors,
    Ridge,
    ScaledBeta,
    Zellner,
)

REFUSED = {
    "an unknown parameter": (lambda: Priors(gamma=Ridge()), "'gamma'"),
    "a family of another parameter": (lambda: Priors(rho=Ridge()), "rho.*Ridge"),
    "a number": (lambda: Priors(sigma=2.0), "sigma.*2.0"),
    "a dict for sigma": (lambda: Priors(sigma={"a": dist.Normal()}), "sigma"),
    "an unknown term": (lambda: resolve(Priors(beta={"zz": dist.Normal()})), "'zz'"),
    "a family in a dict": (lambda: resolve(Priors(beta={"a": Ridge()})), "'a'.*Ridge"),
    "a number in a dict": (lambda: resolve(Priors(beta={"b": 3.0})), "'b'.*3.0"),
    "a distribution of another length": (
        lambda: resolve(Priors(beta=dist.Normal(jnp.zeros(3), 1.0))),
        r"beta.*\(3,\).*4",
    ),
    "a vector for one term": (
        lambda: resolve(Priors(beta={"a": dist.Normal(jnp.zeros(2), 1.0)})),
        r"'a'.*\(2,\).*1",
    ),
    "a conjugate mean of another length": (
        lambda: resolve(Priors(beta=Conjugate((0.0,), ((1.0,),)))),
        r"Conjugate.*\(1,\).*4 terms",
    ),
    "a vector for sigma": (lambda: resolve(Priors(sigma=dist.HalfNormal(jnp.ones(3)))), "sigma"),
    "a vector for rho": (lambda: resolve(Priors(rho=dist.Normal(jnp.zeros(2), 1.0))), "rho"),
    "a covariance that is none": (
        lambda: resolve(Priors(beta=Conjugate((0.0,) * 4, tuple(map(tuple, -np.eye(4)))))),
        "[Cc]ovariance",
    ),
    "an asymmetric covariance": (
        lambda: resolve(
            Priors(
                beta=Conjugate(
                    (0.0,) * 4, tuple(map(tuple, np.eye(4) + np.triu(np.full((4, 4), 0.3), 1)))
                )
            )
        ),
        "[Cc]ovariance",
    ),
    "a ridge of no width": (lambda: resolve(Priors(beta=Ridge(0.0))), "Ridge"),
    "a negative g": (lambda: resolve(Priors(beta=Zellner(-1.0))), "Zellner"),
    "a negative shape": (lambda: resolve(Priors(sigma=InverseGamma(-1.0, 1.0))), "InverseGamma"),
    "a scale of zero": (lambda: resolve(Priors(sigma=InverseGamma(1.0, 0.0))), "InverseGamma"),
    "a negative beta": (lambda: resolve(Priors(rho=ScaledBeta(-1.0, 1.0))), "ScaledBeta"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_a_prior_is_refused_by_name(what):
    make, culprit = REFUSED[what]
    with pytest.raises(PriorError, match=culprit):
        make()


def test_repr_shows_every_prior():
    shown = repr(
        Priors(rho=ScaledBeta(2, 2), sigma=dist.HalfNormal(1.5), beta={"a": dist.Normal(0.5, 2.0)})
    )
    assert shown.splitlines() == [
        "Priors",
        "  beta        a: Normal(loc=0.5, scale=2.0)",
        "  sigma       HalfNormal(scale=1.5)",
        "  rho         ScaledBeta(a=2, b=2)",
        "  lam         Uniform()",
        "  sigma_alpha Shrinkage()",
    ]


def test_priors_are_values():
    assert Priors() == Priors(beta=Ridge(2.5))
    assert Priors() != Priors(beta=Ridge(2.0))
    with pytest.raises(AttributeError):
        Priors().beta = Flat()
