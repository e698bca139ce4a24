"""Posterior results: one DataTree in ArviZ's schema, which everything else is computed from.

A fit that was saved and loaded again gives the same answers as before.
"""

import inspect
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.sparse as sparse
import xarray as xr

from spillover.engine import memory, programs
from spillover.engine.arviz_parts import load_arviz
from spillover.engine.data.provenance import hash_panel, hash_weights, versions
from spillover.engine.estimation.problem import Problem
from spillover.engine.estimation.saving import check_tree, read_tree, write_tree
from spillover.engine.weights.channels import build_channels
from spillover.engine.weights.checks import spectral_radius
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, front_door, front_doors, show, whole
from spillover.kernels.errors import DataError, SpecificationError, SpilloverWarning, WeightsError
from spillover.models import impacts as formulas
from spillover.models.effects import QUASI
from spillover.models.spec import FLAGS, RANDOM

PARAMETERS = ("beta", "rho", "lam", "sigma_alpha", "sigma")
CHECKED = 20_000  # units of a loaded fit whose rho and lambda are held against the interval of W
MOST_ORDERS = 10_000
EDGE = 1e-6  # relative: what the ends of that interval are good to
RHAT, ESS = 1.01, 400  # Vehtari, Gelman, Simpson, Carpenter & Burkner (2021), section 4


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A posterior: draws of the parameters, with the data and the weights that they come from.

    `Model.fit` and `load` make one.

    Attributes
    ----------
    tree : DataTree
        Groups posterior, sample_stats, prior, observed_data and constant_data, in ArviZ's schema.
        The attributes name the model, the formula, the sampler, the versions of the programs, and
        the SHA-256 of the data and of the weights.

    See Also
    --------
    load : Reads a saved one.
    """

    tree: xr.DataTree

    def __repr__(self) -> str:
        about = self.tree.attrs
        sizes = self.posterior.sizes
        effects = "" if about["effects"] == "none" else f", effects={about['effects']!r}"
        kind = " of a quasi-likelihood" if about.get("likelihood") == "quasi" else ""
        return (
            f"Fit of {about['model']}({about['formula']!r}{effects}): {sizes['chain']} chains x"
            f" {sizes['draw']} draws{kind}"
        )

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of beta (chain, draw, term), and of rho, lam, sigma_alpha and sigma (chain, draw),
        those that the model has.
        """
        return self.tree["posterior"].to_dataset()

    @property
    def log_marginal_likelihood(self) -> float:
        """log p(y), the density of the data with every parameter integrated out.

        It has every constant, and compares models of the same y under the same effects. It is there
        for sampler="exact", and for random effects by NUTS, with proper conjugate priors.

        Raises
        ------
        SpecificationError
            Where there is none: by NUTS with other effects, with improper or other priors, and for
            a quasi-likelihood, which period effects make where the rows of W do not all have one
            sum.

        References
        ----------
        Hepple (1995), "Bayesian techniques in spatial and network econometrics", Environment and
        Planning A 27.
        """
        if "log_marginal_likelihood" in self.tree.attrs:
            return float(self.tree.attrs["log_marginal_likelihood"])
        if self.tree.attrs.get("likelihood") == "quasi":
            raise SpecificationError(f"{QUASI}: no evidence. Row-standardise W for one.")
        if self.tree.attrs["sampler"] != "exact" and self.tree.attrs["effects"] not in RANDOM:
            raise SpecificationError(
                "NUTS does not give the marginal likelihood: fit with sampler='exact', which takes"
                " conjugate priors of beta and sigma."
            )
        raise SpecificationError(
            "The marginal likelihood needs proper conjugate priors, and with random effects a"
            " posterior smooth enough: see so.Priors()."
        )

    @cached_property
    def weights(self) -> Weights:
        """W, (N, N), as the model was given it."""
        return self._matrix("weights")

    @cached_property
    def error_weights(self) -> Weights:
        """M of the spatial error, (N, N); W unless another was given."""
        return (
            self._matrix("error_weights")
            if "error_weights_row" in self.tree["constant_data"]
            else self.weights
        )

    def _matrix(self, name: str) -> Weights:
        """W or M, from the arrays in which the tree holds it."""
        data = self.tree["constant_data"].to_dataset()
        ids = pd.Index(data["unit"].to_numpy())
        links = (data[f"{name}_row"].to_numpy(), data[f"{name}_column"].to_numpy())
        matrix = sparse.csr_array(
            (data[f"{name}_value"].to_numpy(), links), shape=(len(ids), len(ids))
        )
        bounds = self.tree.attrs.get("bounds" if name == "weights" else "error_bounds")
        return Weights(
            matrix,
            ids,
            islands="allow",
            bounds=None if bounds is None else (float(bounds[0]), float(bounds[1])),
        )

    def summary(self, **options: Any) -> pd.DataFrame:
        """Summarise the parameters by ArviZ: means, intervals and diagnostics, unrounded.

        Parameters
        ----------
        **options
            Arguments of `arviz_stats.summary`, by name; `round_to` is "none" unless given.

        Returns
        -------
        DataFrame
            A row for each parameter.

        Raises
        ------
        SpecificationError
            For an option that `arviz_stats.summary` does not have, or a value that it does not
            take.

        Examples
        --------
        >>> fit.summary(ci_prob=0.9)  # doctest: +SKIP
        """
        known = list(inspect.signature(load_arviz("stats").summary).parameters)[1:]
        for name in options:
            choice("is no option", name, known)
        try:
            return load_arviz("stats").summary(self.posterior, **{"round_to": "none", **options})
        except (
            TypeError,
            ValueError,
            OverflowError,
            KeyError,
            AttributeError,
            IndexError,
            NotImplementedError,
        ) as error:
            if not options:
                raise
            given = ", ".join(f"{name}={show(value)}" for name, value in options.items())
            raise SpecificationError(
                f"ArviZ makes no summary with {given}: {_one_line(error)}."
            ) from error

    def impacts(self, by: str | None = None, *, orders: int = 5, draws: int = 200) -> xr.Dataset:
        """Compute the direct, indirect and total impacts of each explanatory variable, as draws.

        The derivatives of the N expectations of y in the N values of a variable, and their
        averages::

            D = (I - rho W)^-1 (beta I + theta W)
            direct = tr(D) / N,   total = iota' D iota / N,   indirect = total - direct

        Parameters
        ----------
        by : {None, "unit", "order"}, default None
            None: averages over the units. "unit": those of every unit, direct (the diagonal of D),
            received (its row sums) and sent (its column sums), at the price of N solves a draw.
            "order": the terms rho^q W^q of the series of (I - rho W)^-1.
        orders : int, default 5
            The highest q with by="order".
        draws : int, default 200
            Number of evenly spaced draws, about, that by="unit" takes.

        Returns
        -------
        Dataset
            direct, indirect and total, (chain, draw, term); with by="order" with one more dim
            `order`, of 0, ..., `orders`. With by="unit" direct, received and sent, (chain, draw,
            term, unit).

        Raises
        ------
        SpecificationError
            For another `by`, `orders` and `draws` out of range, and results that memory does not
            hold.
        DataError
            With by="order" where draws of rho lie beyond the radius within which the series
            converges.

        Examples
        --------
        >>> fit.impacts()["total"].mean(("chain", "draw"))  # doctest: +SKIP

        References
        ----------
        LeSage & Pace (2009), Introduction to Spatial Econometrics, chapters 2 and 4.
        """
        if by is not None:
            choice("are no impacts by", by, ("unit", "order"))
        orders, draws = (
            whole("orders", orders, least=0, most=MOST_ORDERS, example=5),
            whole("draws", draws, example=200),
        )
        data = self.tree["constant_data"].to_dataset()
        posterior = self.posterior if by != "unit" else _thin(self.posterior, draws)
        _check_memory(by, posterior.sizes["chain"] * posterior.sizes["draw"], data, orders)
        programs.enter()
        with jax.enable_x64(True):
            beta, theta = formulas.split_coefficients(
                jnp.asarray(posterior["beta"].to_numpy()),
                data["own_position"].to_numpy(),
                data["lagged_position"].to_numpy(),
            )
            rho = posterior["rho"].to_numpy() if "rho" in posterior else np.zeros(beta.shape[:2])
            values, extra = self._impacts(by, np.asarray(beta), np.asarray(theta), rho, orders)
        dims = ("chain", "draw", "term", *extra)
        coords = {
            "chain": posterior["chain"],
            "draw": posterior["draw"],
            "term": data["regressor"].to_numpy(),
            **extra,
        }
        return xr.Dataset(
            {name: (dims, value) for name, value in values.items()},
            coords=coords,
            attrs={"by": by or "average"},
        )

    def _impacts(
        self, by: str | None, beta: np.ndarray, theta: np.ndarray, rho: np.ndarray, orders: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The arrays of the impacts by name, and the coordinates of dims beyond chain, draw and
        term.
        """
        lag = FLAGS[self.tree.attrs["model"]][0]
        if by is None:
            parts = formulas.average(
                build_channels(self.weights, rho if lag else None),
                jnp.asarray(beta),
                jnp.asarray(theta),
                jnp.asarray(rho),
            )
            return {name: np.asarray(value) for name, value in parts._asdict().items()}, {}
        if by == "order":
            radius = spectral_radius(self.weights.matrix)
            outside = np.abs(rho) * radius >= 1
            if outside.any():
                raise DataError(
                    f"{outside.mean():.1%} of the draws have |rho| beyond 1/{radius:.4g}, where the"
                    " sum over orders diverges."
                )
            return formulas.by_order(self.weights.matrix, orders, beta, theta, rho)._asdict(), {
                "order": np.arange(orders + 1)
            }
        shape = rho.shape
        own, through = (value.reshape(-1, value.shape[-1]) for value in (beta, theta))
        parts = formulas.by_unit(self.weights.matrix, own, through, rho.ravel())
        return {
            name: value.reshape(*shape, *value.shape[1:]) for name, value in parts._asdict().items()
        }, {"unit": self.weights.ids.to_numpy()}

    def save(self, path: str | Path) -> None:
        """Write the fit as NetCDF, whole or not at all, with a seal of its bytes.

        Parameters
        ----------
        path : str or Path
            The file. One that is there is replaced.

        Raises
        ------
        StorageError
            For a folder that is not there or cannot be written to, and a full disk. An earlier file
            is then untouched.

        See Also
        --------
        load : Reads it.

        Examples
        --------
        >>> fit.save("fit.nc")  # doctest: +SKIP
        """
        write_tree(self.tree, path)


@front_door
def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote, in this version or an earlier one.

    Nothing in the file is run. Files of version 0.1.0 have no seal, and are checked for what they
    hold only. Draws of rho and lambda are held against the admissible interval of W up to 20,000
    units; it takes a second there.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Fit
        The fit, with the numbers that were saved.

    Raises
    ------
    StorageError
        For a file that is not there, damaged, cut short, or of a later version.
    DataError
        For a file that holds no fit, or one that cannot be: draws that are not finite, a sigma of 0
        or less, a rho or lambda outside the admissible interval of W, positions outside the data.

    See Also
    --------
    Fit.save : Writes it.

    Examples
    --------
    >>> so.load("fit.nc").impacts()  # doctest: +SKIP
    """
    return check_fit(read_tree(path), path)


def check_fit(tree: xr.DataTree, path: str | Path) -> Fit:
    """The fit that a tree read from `path` is. DataError as by `load`."""
    check_tree(tree, path)
    fit = Fit(tree)
    _check_dependence(fit, path)
    return fit


def _check_dependence(fit: Fit, path: str | Path) -> None:
    """DataError for draws of rho or lambda outside the admissible interval, and for a W that is
    none.
    """
    try:
        pairs = {"rho": fit.weights, "lam": fit.error_weights}
        for name, weights in pairs.items():
            if name in fit.posterior and weights.n <= CHECKED:
                low, high = weights.bounds
                values = fit.posterior[name].to_numpy()
                wrong = values[(values < low * (1 + EDGE)) | (values > high * (1 + EDGE))]
                if wrong.size:
                    interval = f"the admissible interval of its W, {low:.6g} to {high:.6g}"
                    raise DataError(
                        f"{path} is no fit that can be used: {name} has the draw {wrong[0]:.6g},"
                        f" outside {interval}."
                    )
    except WeightsError as error:
        raise DataError(f"{path} is no fit that can be used: its W is none, {error}") from error


class Draws(NamedTuple):
    """What a sampler returns.

    Attributes
    ----------
    parameters : dict of str to array, (chain, draw, ...)
        Draws of the parameters.
    stats : dict of str to array, (chain, draw) or ()
        Statistics of the sampling.
    about : dict
        How it was done: attributes of the tree.
    """

    parameters: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    about: dict[str, Any]


def build_tree(problem: Problem, draws: Draws, prior: dict[str, np.ndarray]) -> xr.DataTree:
    """Make the DataTree of a fit.

    It holds the data and W as well, so that impacts and predictions need nothing else.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    draws : Draws
        Draws of the posterior.
    prior : dict of str to array, (draw, ...)
        Draws of the prior, of the parameters that have a proper one.

    Returns
    -------
    DataTree
        The tree, in ArviZ's schema.
    """
    constant, dims = _constants(problem)
    groups: dict[str, dict[str, Any]] = {
        "posterior": _order(draws.parameters),
        "observed_data": {"y": problem.panel.y},
        "constant_data": constant,
    }
    if prior:
        groups["prior"] = {name: value[None] for name, value in _order(prior).items()}
    scalars = {name: value for name, value in draws.stats.items() if not value.ndim}
    if len(scalars) < len(draws.stats):
        groups["sample_stats"] = draws.stats
    coords = {
        "term": list(problem.design.terms),
        "unit": _plain(problem.panel.units),
        "period": _plain(problem.panel.periods),
        "regressor": np.array(problem.design.variables, dtype=str),
    }
    tree: xr.DataTree = load_arviz("base").from_dict(groups, coords=coords, dims=dims)
    if scalars:
        tree["sample_stats"] = xr.DataTree(xr.Dataset(scalars))
    tree.attrs.update(_describe(problem) | draws.about)
    return tree


def _order(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sort parameters, those that are there, in the order that all fits share."""
    return {name: values[name] for name in PARAMETERS if name in values}


def _constants(problem: Problem) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """X, the positions of own and lagged effects, W and M as arrays, and the dims of these and of
    y.
    """
    design = problem.design
    constant = {"x": design.columns, "own_position": design.own, "lagged_position": design.lagged}
    dims = {"beta": ["term"], "y": ["period", "unit"], "x": ["period", "unit", "term"]}
    dims |= {"own_position": ["regressor"], "lagged_position": ["regressor"]}
    matrices = {"weights": ("link", problem.weights)}
    if problem.error_weights != problem.weights:
        matrices["error_weights"] = ("error_link", problem.error_weights)
    for name, (dim, weights) in matrices.items():
        links = weights.matrix.tocoo()
        constant |= {
            f"{name}_row": links.row,
            f"{name}_column": links.col,
            f"{name}_value": links.data,
        }
        dims |= {f"{name}_{part}": [dim] for part in ("row", "column", "value")}
    return constant, dims


def _describe(problem: Problem) -> dict[str, Any]:
    """The attributes of a tree: the model, the versions, and the SHA-256 of data and weights."""
    w, m = problem.weights, problem.error_weights
    attrs: dict[str, Any] = {f"{name}_version": number for name, number in versions().items()}
    attrs |= {"data_sha256": hash_panel(problem.panel), "weights_sha256": hash_weights(w)}
    if m != w:
        attrs["error_weights_sha256"] = hash_weights(m)
    attrs |= {
        "model": problem.spec.name,
        "effects": problem.spec.effects,
        "formula": problem.formula,
        "response": problem.panel.response,
    }
    if problem.effects.quasi:
        attrs["likelihood"] = "quasi"
    if w.given_bounds is not None:
        attrs["bounds"] = list(w.given_bounds)
    if m.given_bounds is not None:
        attrs["error_bounds"] = list(m.given_bounds)
    return attrs


def _check_memory(by: str | None, draws: int, data: xr.Dataset, orders: int) -> None:
    """SpecificationError for impacts that memory does not hold."""
    variables, units = data.sizes["regressor"], data.sizes["unit"]
    if by == "unit":
        what = f"Impacts of {units:,} units at {draws:,} draws"
        memory.check(
            memory.estimate_unit_impacts(draws, variables, units), what, "give fewer draws="
        )
    if by == "order":
        what = f"Impacts of {memory.format_count(orders)} orders at {draws:,} draws"
        memory.check(
            memory.estimate_order_impacts(draws, variables, orders), what, "give fewer orders="
        )


def _plain(labels: pd.Index) -> np.ndarray:
    """Labels as NetCDF can keep them: numbers and dates as they are, anything else as text."""
    values: np.ndarray = labels.to_numpy()
    return values if values.dtype.kind in "iufM" else values.astype(str)


def _one_line(error: Exception) -> str:
    """The message of another library, short and without line breaks or colours."""
    words = " ".join("".join(mark if mark.isprintable() else " " for mark in str(error)).split())
    return f"{words[:200]}..." if len(words) > 200 else words.rstrip(".") or type(error).__name__


def _thin(posterior: xr.Dataset, draws: int) -> xr.Dataset:
    """Evenly spaced draws of a posterior, about as many as asked for."""
    step = max(posterior.sizes["chain"] * posterior.sizes["draw"] // max(draws, 1), 1)
    return posterior.isel(draw=slice(None, None, step))


def warn_of_trouble(tree: xr.DataTree) -> None:
    """Warn of divergences, R-hat above 1.01 and effective sample sizes below 400, with what to
    do.
    """
    diverging = int(tree["sample_stats"]["diverging"].sum())
    if diverging:
        _warn(
            f"{diverging} draws diverged: fit again with target_accept=0.95; if they stay, use"
            " tighter priors."
        )
    if tree["posterior"].sizes["draw"] < 4:
        return
    table = load_arviz("stats").summary(tree, kind="diagnostics", round_to="none")
    r_hat = table["r_hat"].dropna()  # one chain has none
    if r_hat.max() > RHAT:
        worst = f"R-hat of {r_hat.idxmax()} is {r_hat.max():.3f}"
        _warn(f"The chains disagree: {worst}. Take more tune and draws, and look at trace plots.")
    ess = table[["ess_bulk", "ess_tail"]].min(axis=1)
    if ess.min() < ESS:
        _warn(
            f"The effective sample size of {ess.idxmin()} is {ess.min():.0f}, below {ESS}: take"
            " more draws for stable tails."
        )


def _warn(message: str) -> None:
    """Warn where the user called `fit`."""
    warnings.warn(message, SpilloverWarning, stacklevel=5)
