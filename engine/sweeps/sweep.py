"""The sweep: many weights and many models in one call, to see which conclusions hold throughout."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import jax
import pandas as pd

from spillover.engine import memory
from spillover.engine.data.provenance import hash_panel, hash_weights, versions
from spillover.engine.estimation.arguments import plan_sampling
from spillover.engine.progress import show_count
from spillover.engine.storage.reading import cite
from spillover.engine.sweeps.chunk import (
    LEVELS,
    SAMPLERS,
    STACK,
    STATISTICS,
    Block,
    Names,
    SweepSettings,
    names_of,
    run,
)
from spillover.engine.sweeps.plan import DEFAULT, SweepData, SweepPlan, compute_digest, read_plan
from spillover.engine.sweeps.results import Sweep, assemble
from spillover.engine.sweeps.store import join_versions, open_store, write_block
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, expect, flag, front_door, kind_of, texts
from spillover.kernels.arguments import path as as_path
from spillover.kernels.errors import ConvergenceError, SpecificationError, StorageError
from spillover.models.priors import Priors

RETRIES = 3  # of a chunk whose worker died
CORES = 8  # threads of a CPU, at most: Python prepares the members one by one


@front_door
def sweep(
    formula: str,
    data: pd.DataFrame,
    weights: Mapping[str, Weights],
    *,
    models: Sequence[str] = ("SAR", "SEM", "SDM"),
    effects: Sequence[str] = ("none",),
    unit: str | None = None,
    period: str | None = None,
    controls: Mapping[str, str] | None = None,
    priors: Priors | Mapping[str, Priors] | None = None,
    windows: Mapping[str, tuple[Any, Any]] | None = None,
    lagged: Sequence[str] | None = None,
    formula_functions: Mapping[str, Callable[..., Any]] | None = None,
    sampler: str = "exact",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 1,
    seed: int = 0,
    target_accept: float = 0.8,
    keep_draws: bool = False,
    store: str | Path | None = None,
    client: Any = None,
    progress: bool = True,
    max_memory: float | None = None,
) -> Sweep:
    """Fit every combination of weights, model and effects to one data set.

    Controls, priors and windows are further dimensions where they are given. With `store` a sweep
    that was stopped goes on from there. A member that fails is a row with its reason in
    `Sweep.failures`; the others finish.

    Posterior probabilities are those of equal prior probabilities among the members m that have the
    same data and effects::

        p(m | y) = p(y | m) / sum_j p(y | j)

    With period effects and a W whose rows do not all have one sum, a member has its estimates and
    impacts, but no evidence and no probability; the reason is in `Sweep.notes`, and the others
    compare.

    Parameters
    ----------
    formula : str
        The model of the conditional mean, such as "np.log(y) ~ x1 + x2".
    data : DataFrame
        The data, a row for each unit and period, as for a single model. Units are matched to the
        weights by label.
    weights : dict of str to Weights
        The weights by name, of the same units.
    models : sequence of str, default ("SAR", "SEM", "SDM")
        Names of models: OLS, SLX, SAR, SEM, SDM, SDEM, SAC, GNS.
    effects : sequence of str, default ("none",)
        Fixed effects: "none", "unit", "period", "twoway".
    unit : str, optional
        The column of the units; a cross-section without it takes the index of the frame.
    period : str, optional
        The column of the periods of a panel; a cross-section has none.
    controls : dict of str to str, optional
        What each set of controls adds to the formula, by name: {"none": "", "full": "x3 + x4"}.
    priors : Priors or dict of str to Priors, optional
        The priors, or several by name; by default `Priors()`.
    windows : dict of str to tuple, optional
        First and last period of each window, by name: {"early": (1970, 1979)}; by default all
        periods.
    lagged : sequence of str, optional
        The regressors that have a W X term in the models with such terms; by default all but the
        constant.
    formula_functions : dict of str to callable, optional
        Functions of your own that the formulas may call, by name.
    sampler : {"exact", "nuts", "ml"}, default "exact"
        "exact" and "nuts" as in `Model.fit`; "ml": maximum likelihood, with standard errors in
        place of posterior standard deviations.
    draws : int, default 1000
        Draws of each chain.
    tune : int, default 1000
        Steps that NUTS adapts in, which are not kept.
    chains : int, default 1
        Chains of each member.
    seed : int, default 0
        Seed of the draws. The same seed gives the same numbers.
    target_accept : float, default 0.8
        Acceptance probability that NUTS adapts its steps to, between 0 and 1.
    keep_draws : bool, default False
        Whether to keep the draws as well as their summaries.
    store : str or Path, optional
        A folder for the results, which `open_sweep` reads; by default they are in memory only.
    client : distributed.Client, optional
        A Dask client whose workers take the chunks; by default the devices of this machine do.
    progress : bool, default True
        Whether to show a bar.
    max_memory : float, optional
        Bytes that the results may take; by default what is free.

    Returns
    -------
    Sweep
        Summaries of parameters and impacts over the dimensions of the sweep.

    Raises
    ------
    SpecificationError
        For arguments that no member could be fitted with, data that give none, and results that
        memory does not hold; before the first fit.
    DataError
        Where `store` holds another sweep or something else.
    StorageError
        Where `store` cannot be written to, is damaged, or another process has it.

    Warns
    -----
    SpilloverWarning
        Of blocks in `store` that were damaged, or were made by other versions of the programs.

    See Also
    --------
    open_sweep : Reads a stored sweep.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> both = {"contiguity": W.row_standardize(), "spectral": W.spectral_standardize()}
    >>> panel = {"effects": ["twoway"], "unit": "state", "period": "year"}
    >>> out = so.sweep(
    ...     "np.log(gsp) ~ np.log(pc) + unemp",
    ...     frame,
    ...     both,
    ...     models=["SAR", "SDM"],
    ...     **panel,
    ...     draws=500,
    ...     progress=False,
    ... )
    >>> out.impacts["total"].sel(term="unemp", model="SDM", statistic="mean").shape
    (2, 1)

    References
    ----------
    LeSage & Pace (2009), Introduction to Spatial Econometrics, chapter 6.

    LeSage (2014), "What regional scientists need to know about spatial econometrics", Review of
    Regional Studies 44.
    """
    several = {
        "controls": controls,
        "priors": {DEFAULT: priors} if isinstance(priors, Priors) else priors,
        "windows": windows,
    }
    plan = SweepPlan(
        formula=formula,
        weights=_check_names(weights, "weights", '{"queen": W}'),
        models=texts("models", models, example='["SAR", "SDM"]'),
        effects=texts("effects", effects, example='["twoway"]'),
        unit=unit,
        period=period,
        **{
            name: _check_names(value, name, EXAMPLES[name])
            for name, value in several.items()
            if value is not None
        },
        lagged=None if lagged is None else texts("lagged", lagged),
    )
    choice("is no sampler", sampler, SAMPLERS)
    sampling = plan_sampling(
        draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept
    )
    settings = SweepSettings(
        sampler=sampler, **sampling._asdict(), keep_draws=flag("keep_draws", keep_draws)
    )
    flag("progress", progress)
    if client is not None and not hasattr(client, "scatter"):
        raise SpecificationError(
            f"client is {kind_of(client)}: give a distributed.Client, or leave it out."
        )
    source = read_plan(plan, data, formula_functions)
    _check_memory(source, settings, max_memory)
    return run_plan(source, settings, store=store, client=client, progress=progress)


def _check_memory(source: SweepData, settings: SweepSettings, max_memory: float | None) -> None:
    """SpecificationError for a sweep whose results memory does not hold."""
    names, count = names_of(source), len(source.plan.labels)
    kept = (
        settings.draws * settings.chains if settings.keep_draws and settings.sampler != "ml" else 0
    )
    columns = len(names.parameters) + 3 * len(names.variables)
    numbers = len(STATISTICS) + len(LEVELS)
    way_out = "take fewer members, or draws, or keep_draws=False" if kept else "take fewer members"
    memory.check(
        memory.estimate_sweep(count, columns, numbers, kept),
        f"A sweep of {count:,} members",
        way_out,
        max_memory,
    )
    size = min(STACK, count)
    memory.check(
        size * memory.estimate_draws(settings.draws * settings.chains, columns),
        f"{size} members at a time",
        "take fewer draws",
        max_memory,
    )


EXAMPLES = {
    "controls": '{"none": "", "full": "x3 + x4"}',
    "priors": '{"vague": Priors(), "tight": Priors(beta=Ridge(0.5))}',
    "windows": '{"early": (1970, 1979), "late": (1980, 1989)}',
}


def _check_names(values: Any, name: str, example: str) -> dict[str, Any]:
    """A mapping of names as a dict; SpecificationError for anything else."""
    expect(name, values, Mapping, f"give a dict of names, such as {example}")
    return dict(values)


def run_plan(
    source: SweepData,
    settings: SweepSettings,
    *,
    store: str | Path | None,
    client: Any,
    progress: bool,
) -> Sweep:
    """Fit the members that are not in the store yet, chunk by chunk, and put all of them together.

    Parameters
    ----------
    source : SweepData
        The plan and its panels.
    settings : SweepSettings
        How the members are fitted.
    store : str, Path or None
        The folder of the results.
    client : distributed.Client or None
        Whose workers take the chunks.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Sweep
        The results of all members.
    """
    about = _describe(source, settings, names_of(source))
    if store is None:
        blocks = list(_fit_missing(source, settings, set(), client, progress))
        return assemble(blocks, about | {"versions": [versions()]})
    parts = divide(source, set())
    with open_store(as_path("store", store), about, parts) as place:
        blocks = [one.block for one in place.kept]
        done = {position for block in blocks for position in block.index.tolist()}
        try:
            for block in _fit_missing(source, settings, done, client, progress):
                write_block(place, block)
                blocks.append(block)
        except (KeyboardInterrupt, StorageError) as error:
            kept = sum(len(block.index) for block in blocks)
            what = (
                f"{kept} of {len(source.plan.labels)} members are kept in {cite(place.path)}: the"
                " same call goes on from there."
            )
            raise type(error)(f"{error} {what}".strip()) from error
    known = join_versions([one.versions for one in place.kept])
    fresh = [place.versions] if len(blocks) > len(place.kept) else []
    return assemble(blocks, about | {"versions": join_versions([*known, *fresh])})


def _fit_missing(
    source: SweepData, settings: SweepSettings, done: set[int], client: Any, progress: bool
) -> Iterator[Block]:
    """The blocks of the members that are not done, with a bar of all members."""
    todo, total = divide(source, done), len(source.plan.labels)
    blocks = (
        _fit_here(source, todo, settings)
        if client is None
        else _fit_on_cluster(client, source, todo, settings)
    )
    with show_count(f"sweep of {total} members", total, len(done), show=progress) as report:
        for block in blocks:
            yield block
            report(len(block.index))


def _describe(source: SweepData, settings: SweepSettings, names: Names) -> dict[str, Any]:
    """The description of a sweep, as JSON can hold it.

    `data` has the SHA-256 of each panel, `weights` that of each W by its name.
    """
    panels = [panel for panel in source.panels.values() if not isinstance(panel, str)]
    return {
        "digest": compute_digest(source, asdict(settings)),
        "formula": source.plan.formula,
        "coords": source.plan.coords,
        "parameters": list(names.parameters),
        "variables": list(names.variables),
        "settings": asdict(settings),
        "data": list(dict.fromkeys(hash_panel(panel) for panel in panels)),
        "weights": {name: hash_weights(weights) for name, weights in source.plan.weights.items()},
    }


def divide(source: SweepData, done: set[int]) -> list[list[int]]:
    """Divide the positions still to do into chunks of members that differ in W alone.

    One chunk of every kind comes first, so that each is compiled once. A chunk is the same whatever
    is done already: a sweep that goes on stacks the same members as one that was never stopped.
    """
    kinds: dict[tuple[str, ...], list[int]] = {}
    for position, label in enumerate(source.plan.labels):
        kinds.setdefault(label[1:], []).append(position)
    parts = [
        [kind[start : start + STACK] for start in range(0, len(kind), STACK)]
        for kind in kinds.values()
    ]
    ordered = [
        part[step] for step in range(max(map(len, parts))) for part in parts if step < len(part)
    ]
    return [part for part in ordered if not done.issuperset(part)]


def _fit_here(source: SweepData, todo: list[list[int]], settings: SweepSettings) -> Iterator[Block]:
    """Fit chunks in threads of this process, one for every device of this machine.

    On a single CPU there is one for every core: compiled code runs beside the Python that prepares
    the next chunk.
    """
    devices = jax.local_devices()
    alone = len(devices) == 1 and devices[0].platform == "cpu"
    free: SimpleQueue[jax.Device] = SimpleQueue()
    for device in devices * min(os.cpu_count() or 1, CORES) if alone else devices:
        free.put(device)

    def work(part: list[int]) -> Block:
        device = free.get()
        try:
            return run(source, part, settings, device)
        finally:
            free.put(device)

    threads = free.qsize()
    with ThreadPoolExecutor(threads) as pool:
        yield from _collect(lambda part: pool.submit(work, part), todo, ahead=2 * threads)


def _collect(
    submit: Callable[[list[int]], Future[Block]], todo: list[list[int]], ahead: int
) -> Iterator[Block]:
    """Yield results as they arrive, with no more than `ahead` chunks under way."""
    waiting, running = list(reversed(todo)), set[Future[Block]]()
    try:
        while waiting or running:
            while waiting and len(running) < ahead:
                running.add(submit(waiting.pop()))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        for future in running:
            future.cancel()


def _fit_on_cluster(
    client: Any, source: SweepData, todo: list[list[int]], settings: SweepSettings
) -> Iterator[Block]:
    """Fit chunks on the workers of a Dask client.

    The chunk of a worker that dies goes to another one. Where the last copy of the data died with
    it, they are sent again.
    """
    try:
        from distributed import CancelledError, as_completed
    except ImportError as error:
        raise SpecificationError("client= needs Dask: pip install 'spillover[dask]'.") from error
    completed: Callable[..., Any] = as_completed  # which has no types
    waiting = {part[0]: part for part in todo}
    for _ in range(RETRIES + 1):
        shared = client.scatter(source, broadcast=True, hash=False)
        futures = {
            client.submit(run, shared, part, settings, pure=False, retries=RETRIES): first
            for first, part in waiting.items()
        }
        try:
            for future in completed(futures):
                try:
                    block = future.result()
                except CancelledError:  # the worker is gone with the data or the result
                    continue
                yield block
                del waiting[futures[future]]
                future.release()
        finally:
            client.cancel(list(futures))
        if not waiting:
            return
    raise ConvergenceError(
        f"{len(waiting)} chunks of the sweep were lost with the Dask workers that had them,"
        f" {RETRIES + 1} times over."
    )
