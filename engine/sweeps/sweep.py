"""Many weight matrices, many models, one call: which conclusions hold up."""

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
from spillover.engine.sweeps.plan import DEFAULT, SweepData, SweepPlan, digest, read_plan
from spillover.engine.sweeps.results import Sweep, assemble
from spillover.engine.sweeps.store import join_versions, open_store, write_block
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, expect, flag, front_door, kind_of, texts
from spillover.kernels.arguments import path as as_path
from spillover.kernels.errors import ConvergenceError, SpecificationError, StorageError
from spillover.models.priors import Priors

RETRIES = 3  # of a chunk whose worker died
CORES = 8  # of a CPU, at most: Python prepares the members one by one


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
    formula_functions: Mapping[str, Callable] | None = None,
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
    """Every combination of weights, model and effects, and of controls, priors and windows where
    given, fitted to one data set.

    `weights`: a dict of names and `Weights`. `controls`: names and what each adds to the formula,
    {"none": "", "full": "x3 + x4"}; `priors`: one `Priors`, or a dict of them; `windows`: names and
    the first and last period of each. `formula_functions`: functions of your own that the formulas
    may call. `sampler`: "exact" (`Model.fit`), "nuts" or "ml". `store`: a folder for the results,
    from which a sweep that was stopped goes on; `client`: a Dask client whose workers take the
    chunks. `keep_draws`: keep draws as well as summaries. `max_memory`: bytes that the results may
    take, by default what is free; SpecificationError, before the first fit, for more.

    With period effects, a W whose rows do not all have one sum has its estimates and impacts, but
    no evidence and no probability, with the reason in `Sweep.notes`; the other members compare. A
    member that fails is a row with its reason in `Sweep.failures`; SpilloverError for what no
    member could do.

    Source: LeSage & Pace (2009), chapter 6; LeSage (2014), "What regional scientists need to know
    about spatial econometrics".

    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> nearer = {"contiguity": W.row_standardize(), "spectral": W.spectral_standardize()}
    >>> panel = {"effects": ["twoway"], "unit": "state", "period": "year"}
    >>> out = so.sweep(
    ...     "np.log(gsp) ~ np.log(pc) + unemp",
    ...     frame,
    ...     nearer,
    ...     models=["SAR", "SDM"],
    ...     **panel,
    ...     draws=500,
    ...     progress=False,
    ... )
    >>> out.impacts["total"].sel(term="unemp", model="SDM", statistic="mean").shape
    (2, 1)
    """
    several = {
        "controls": controls,
        "priors": {DEFAULT: priors} if isinstance(priors, Priors) else priors,
        "windows": windows,
    }
    plan = SweepPlan(
        formula=formula,
        weights=_named(weights, "weights", '{"queen": W}'),
        models=texts("models", models, example='["SAR", "SDM"]'),
        effects=texts("effects", effects, example='["twoway"]'),
        unit=unit,
        period=period,
        **{
            name: _named(value, name, EXAMPLES[name])
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
    """SpecificationError for a sweep whose results there is no memory for."""
    names, count = names_of(source), len(source.plan.labels)
    kept = (
        settings.draws * settings.chains if settings.keep_draws and settings.sampler != "ml" else 0
    )
    columns, numbers = (
        len(names.parameters) + 3 * len(names.variables),
        len(STATISTICS) + len(LEVELS),
    )
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


def _named(values: Any, name: str, example: str) -> dict[str, Any]:
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
    """Fit the members that are not in the store yet, chunk by chunk, and put all of
    them together.
    """
    about = _about(source, settings, names_of(source))
    if store is None:
        blocks = list(_fit_missing(source, settings, set(), client, progress))
        return assemble(blocks, about | {"versions": [versions()]})
    parts = chunks(source, set())
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
    """The blocks of the members that are not done, with a bar of all of them."""
    todo, total = chunks(source, done), len(source.plan.labels)
    blocks = (
        _here(source, todo, settings)
        if client is None
        else _on_cluster(client, source, todo, settings)
    )
    with show_count(f"sweep of {total} members", total, len(done), show=progress) as report:
        for block in blocks:
            yield block
            report(len(block.index))


def _about(source: SweepData, settings: SweepSettings, names: Names) -> dict[str, Any]:
    """What describes a sweep, as JSON can hold it. `data`: the SHA-256 of each panel there is,
    `weights` that of each W by its name.
    """
    panels = [panel for panel in source.panels.values() if not isinstance(panel, str)]
    return {
        "digest": digest(source, asdict(settings)),
        "formula": source.plan.formula,
        "coords": source.plan.coords,
        "parameters": list(names.parameters),
        "variables": list(names.variables),
        "settings": asdict(settings),
        "data": list(dict.fromkeys(hash_panel(panel) for panel in panels)),
        "weights": {name: hash_weights(weights) for name, weights in source.plan.weights.items()},
    }


def chunks(source: SweepData, done: set[int]) -> list[list[int]]:
    """The positions still to do, in chunks of members that differ in W alone; one of every kind
    first, so that each is compiled once.

    A chunk is a chunk whatever is done already: a sweep that goes on stacks the same members as one
    that was never stopped.
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


def _here(source: SweepData, todo: list[list[int]], settings: SweepSettings) -> Iterator[Block]:
    """Chunks in threads of this process, one for every device of this host, on a single CPU one for
    every core: compiled code runs beside the Python that prepares the next.
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
        yield from _as_they_come(lambda part: pool.submit(work, part), todo, ahead=2 * threads)


def _as_they_come(
    submit: Callable[[list[int]], Future], todo: list[list[int]], ahead: int
) -> Iterator[Block]:
    """Results as they arrive, no more than `ahead` chunks being under way."""
    waiting, running = list(reversed(todo)), set[Future]()
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


def _on_cluster(
    client: Any, source: SweepData, todo: list[list[int]], settings: SweepSettings
) -> Iterator[Block]:
    """Chunks on the workers of a Dask client. What a dying worker had goes to another; where the
    last copy of the data died with it, they are sent again.
    """
    try:
        from distributed import CancelledError, as_completed
    except ImportError as error:
        raise SpecificationError("client= needs Dask: pip install 'spillover[dask]'.") from error
    waiting = {part[0]: part for part in todo}
    for _ in range(RETRIES + 1):
        shared = client.scatter(source, broadcast=True, hash=False)
        futures = {
            client.submit(run, shared, part, settings, pure=False, retries=RETRIES): first
            for first, part in waiting.items()
        }
        try:
            for future in as_completed(futures):
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
