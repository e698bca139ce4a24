"""The command line."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from spillover.kernels.errors import SpecificationError, SpilloverError, SpilloverWarning

if TYPE_CHECKING:
    from spillover.engine.fit import Model

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bayesian spatial models: posteriors, impacts, tables and pictures.")

DEMO = "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp"


EXAMPLES = ("provinces", "states")


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the data, the report, its tables and figures.")] = Path("spillover-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated data and of the sampler.")] = 0,
    example: Annotated[str, typer.Option(help='"provinces": a whole study, simulated data; "states": one model, real data.')] = "provinces",
) -> None:
    """A whole study of 31 provinces, 2014-2023 (simulated), from raw indicators to a report; or the productivity of 48 US states."""
    with _session() as console:
        if example not in EXAMPLES:
            raise SpecificationError(f"There is no example {example!r}; choose one of {', '.join(EXAMPLES)}.")
        if example == "states":
            _states(output, seed, console)
            return
        from spillover.engine.demo import write_demo

        path = write_demo(output, seed)
        console.print(Text(f"wrote {path}: change it and run it again with `spillover study {path}`"), soft_wrap=True)
        _run_study(path, console)


def _states(output: Path, seed: int, console: Console) -> None:
    """A two-way fixed-effects spatial Durbin model of the productivity of 48 US states, 1970-1986."""
    from spillover.engine.datasets import munnell
    from spillover.engine.fit import SDM

    frame, contiguity = munnell()
    console.print("Productivity of the 48 contiguous US states, 1970-1986 (Munnell 1990): public capital and its spillovers.")
    model = SDM(DEMO, frame, contiguity.row_standardize(), effects="twoway", unit="state", period="year")
    _publish(model, output, console, {"seed": seed})


@app.command()
def study(config: Annotated[Path, typer.Argument(help="A TOML file: data, [indices], [weights], [model]; see the README.")]) -> None:
    """The study that a TOML file describes: indices, weights, Moran's I, tests, models, impacts, sensitivity, and a report of all of it."""
    with _session() as console:
        _run_study(config, console)


def _run_study(config: Path, console: Console) -> None:
    """Run a study; print its main tables; write the report."""
    import matplotlib as mpl

    mpl.use("agg")
    from spillover.engine import run_study
    from spillover.engine.study import study as run

    found = run(config)
    console.print(Text(found.plan.title, style="bold"))
    if found.plan.note:
        console.print(Text(found.plan.note.strip()))
    for table in run_study.for_terminal(found):
        console.print(table)
    for sentence in found.selection.decisions:
        console.print(Text(sentence))
    paths = found.write()
    console.print(Text(f"wrote {paths[0]}, with {len(paths) - 1} tables, figures and the posterior beside it"), soft_wrap=True)


@app.command()
def fit(config: Annotated[Path, typer.Argument(help="A TOML file: data, formula, weights, model; see the README.")]) -> None:
    """Fit the model that a TOML file describes."""
    with _session() as console:
        from spillover.engine.config import read_task

        task = read_task(config)
        _publish(task.model, task.output, console, task.sampler)


@app.command()
def sweep(config: Annotated[Path, typer.Argument(help="A TOML file: data, formula, [weights], models, effects; see the README.")]) -> None:
    """Fit every combination of weights, models and effects that a TOML file lists; run again, it goes on where it was stopped."""
    with _session() as console:
        from spillover.engine import run_sweep
        from spillover.engine.sweep import sweep as fit_all
        from spillover.engine.sweep_config import read_sweep

        task = read_sweep(config)
        task.output.mkdir(parents=True, exist_ok=True)
        out = fit_all(**task.arguments)
        console.print(Text(repr(out), style="bold"))
        console.print(run_sweep.for_terminal(out))
        if len(out.failures):
            console.print(Text(f"{len(out.failures)} members failed: failures.csv says why.", style="yellow"))
        for path in run_sweep.write(out, task.output):
            console.print(Text(f"wrote {path}"), soft_wrap=True)


@app.command()
def devices() -> None:
    """Show what JAX runs on, the precision in use, and where compiled programs and log-determinants are kept."""
    with _session() as console:
        import jax

        from spillover.engine import cache
        from spillover.engine.devices import cache_folder
        from spillover.engine.devices import devices as found

        console.print(f"JAX {jax.__version__}")
        console.print(found().to_string(index=False), highlight=False)
        console.print(f"compiled programs: {cache_folder()}", highlight=False, soft_wrap=True)
        console.print(f"log-determinants: {cache.folder()}", highlight=False, soft_wrap=True)


def _publish(model: "Model", output: Path, console: Console, sampler: dict[str, Any]) -> None:
    """Fit by NUTS and by maximum likelihood; print the tables; write them, the NetCDF and the figures."""
    from spillover.engine import run

    console.print(Text(repr(model), style="bold"))
    fit, ml = run.estimate(model, sampler)
    if isinstance(ml, SpilloverError):
        console.print(Text(f"No maximum-likelihood estimate. {ml}", style="yellow"))
    frames = run.tables(fit, ml)
    for table in run.for_terminal(frames):
        console.print(table)
    for path in run.write(fit, frames, output):
        console.print(Text(f"wrote {path}"), soft_wrap=True)


@contextmanager
def _session() -> Iterator[Console]:
    """A console; compiled programs and log-determinants kept on disk; errors and warnings of ours as one line instead of a traceback."""
    from spillover.engine import cache
    from spillover.engine.devices import keep_compiled

    console, errors = Console(), Console(stderr=True)
    keep_compiled()
    cache.keep()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        name = "warning" if issubclass(category, SpilloverWarning) else category.__name__
        errors.print(Text.assemble((f"{name}: ", "yellow"), str(message)), soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            yield console
        except SpilloverError as error:
            errors.print(Text.assemble(("error: ", "red"), str(error)), soft_wrap=True)
            raise typer.Exit(1) from None
