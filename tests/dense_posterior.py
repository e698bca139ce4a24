"""A fit against the posterior of the same data and prior by quadrature on dense matrices."""

import jax
import numpy as np
import xarray as xr
from oracles import dense

import spillover as so
from spillover.models.prior_arrays import measure_scales, resolve


def draws_of(fit: so.Fit, name: str) -> xr.DataArray:
    """The draws of a term or of rho, lam, sigma2."""
    posterior = fit.posterior
    if name == "sigma2":
        return posterior["sigma"] ** 2
    return posterior[name] if name in posterior else posterior["beta"].sel(term=name)


def conjugate(model: so.Model) -> dict:
    """b0, V0, a0, d0 of the model's prior, from the rows that stand for it: V0^-1 = P'P, P b0 =
    target.
    """
    effects = model.problem.effects
    factor, parts = model.problem.factor
    scale = measure_scales(
        factor, parts, model.design.terms, model.problem.residual_scale, effects.nu
    )
    with jax.enable_x64(True):
        prior = resolve(model.priors, model.design.terms, scale, model.problem.dependence)
    root, target = np.asarray(prior.root), np.asarray(prior.target)
    return {
        "b0": np.linalg.solve(root, target),
        "V0": np.linalg.inv(root.T @ root),
        "a0": float(prior.a0),
        "d0": float(prior.d0),
    }


def assert_dense_posterior(case, model: so.Model, fit: so.Fit, monte_carlo) -> None:
    p = case.problem()
    bounds = [
        dense.interval(A) for A, there in ((case.W, p.has_rho), (case.M, p.has_lambda)) if there
    ]
    exact = dense.posterior(
        p, bounds=bounds, prior=conjugate(model), size=(7, 10) if len(bounds) == 2 else None
    )
    for j, term in enumerate(case.labels(p)):
        own = monte_carlo(draws_of(fit, term))
        own.assert_mean(exact["b_mean"][j], term)
        own.assert_sd(exact["b_sd"][j], term)
    for j, name in enumerate(exact["names"]):
        own = monte_carlo(draws_of(fit, {"lambda": "lam"}.get(name, name)))
        own.assert_mean(exact["spatial_mean"][j], name)
        own.assert_sd(exact["spatial_sd"][j], name)
    monte_carlo(draws_of(fit, "sigma2")).assert_mean(exact["sigma2_mean"], "sigma2")
