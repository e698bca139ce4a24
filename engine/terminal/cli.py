"""The commands of the command line.

What a command needs is imported when it runs, so that `spillover --help` is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from spillover.engine.terminal.printing import Commands, open_session, say_if_stopped
from spillover.kernels.errors import SpecificationError, SpilloverError

if TYPE_CHECKING:
    from spillover.engine.estimation.model import Model

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,  # rich would take [weights] in a help text for a style, and drop it
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEMO = "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp"
EXAMPLES = ("provinces", "states")
UNTOUCHED = "nothing was written: the output is as it was."

Config = Annotated[
    Path, typer.Argument(show_default=False, help="A TOML file; the README lists its keys.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        show_default=False, help="Folder for the results, in place of the file's own key output."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Write into a folder that holds other files too, over those of the same names.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from spillover import __version__

        typer.echo(f"spillover {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Bayesian spatial models: posteriors, impacts, tables and pictures."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("demo", short_help="A whole study of 31 provinces, or one model of 48 states.")
def run_demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the data, the report, its tables and figures.")
    ] = Path("spillover-demo"),
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**63 - 1, help="Seed of the simulated data and of the sampler."),
    ] = 0,
    example: Annotated[
        str,
        typer.Option(
            help='"provinces": a whole study, simulated data; "states": one model, real data.'
        ),
    ] = "provinces",
    overwrite: Overwrite = False,
) -> None:
    """A whole study of 31 provinces, 2014-2023 (simulated), from raw indicators to a report; or the
    productivity of 48 US states.
    """
    with open_session() as console:
        if example not in EXAMPLES:
            raise SpecificationError(
                f"There is no example {example!r}; choose one of {', '.join(EXAMPLES)}."
            )
        run = _run_states if example == "states" else _run_provinces
        run(output, seed, console, overwrite)


def _run_provinces(output: Path, seed: int, console: Console, overwrite: bool) -> None:
    """The packaged study: write its data and its TOML file, and run that file."""
    from spillover.engine.storage.output import check_output, publish
    from spillover.engine.terminal.demo import write_demo

    replaced = check_output(output, overwrite)
    check_output(output / "report", overwrite)
    publish(output, lambda folder: [write_demo(folder, seed)], whole=False)
    path = output / "study.toml"
    _print_line(
        console,
        f"{'replaced' if replaced else 'wrote'} {path}: change it and run it again with"
        f" `spillover study {path}`",
    )
    with say_if_stopped(f"the study's files are in {output}, its report is not written."):
        _run_study(path, console, None, overwrite)


def _run_states(output: Path, seed: int, console: Console, overwrite: bool) -> None:
    """A two-way spatial Durbin model of the productivity of 48 US states, 1970-1986."""
    from spillover.engine.data.datasets import munnell
    from spillover.engine.estimation.model import SDM
    from spillover.engine.storage.output import check_output

    replaced = check_output(output, overwrite)
    frame, contiguity = munnell()
    console.print(
        "Productivity of the 48 contiguous US states, 1970-1986 (Munnell 1990): public capital and"
        " its spillovers."
    )
    model = SDM(
        DEMO, frame, contiguity.row_standardize(), effects="twoway", unit="state", period="year"
    )
    paths = _publish(model, output, console, {"seed": seed})
    _list_files(console, paths, output, replaced)


@app.command("study", short_help="A whole study: data, [weights], [model] to a report.")
def run_study_file(config: Config, output: Output = None, overwrite: Overwrite = False) -> None:
    """The study that a TOML file describes (data, [indices], [weights], [model]): indices, weights,
    Moran's I, tests, models, impacts, sensitivity, and a report of all of it.
    """
    with open_session() as console, say_if_stopped(UNTOUCHED):
        _run_study(config, console, output, overwrite)


def _run_study(config: Path, console: Console, output: Path | None, overwrite: bool) -> None:
    """Run a study; write the report; print its main tables."""
    import matplotlib as mpl

    mpl.use("agg")
    from spillover.engine.config.study import read_study
    from spillover.engine.storage.output import check_output
    from spillover.engine.studies.study import run_study
    from spillover.engine.terminal.study import draw_tables

    plan = read_study(config, output)
    replaced = check_output(plan.output, overwrite)
    study = run_study(plan)
    paths = study.write(overwrite=overwrite)
    console.print(Text(plan.title, style="bold"))
    if plan.note:
        console.print(Text(plan.note.strip()))
    for table in draw_tables(study):
        console.print(table)
    for sentence in study.selection.decisions:
        console.print(Text(sentence))
    _print_line(
        console,
        f"wrote {paths[0]}, with {len(paths) - 1} tables, figures and the posterior beside it",
    )
    _say_replaced(console, plan.output, replaced)


@app.command("fit", short_help="One model: data, formula, weights, [sampler].")
def run_fit(config: Config, output: Output = None, overwrite: Overwrite = False) -> None:
    """Fit the model that a TOML file describes (data, formula, weights, model, [sampler])."""
    with open_session() as console, say_if_stopped(UNTOUCHED):
        from spillover.engine.config.fit import read_task
        from spillover.engine.storage.output import check_output

        task = read_task(config, output)
        replaced = check_output(task.output, overwrite)
        paths = _publish(task.model, task.output, console, task.sampler)
        _list_files(console, paths, task.output, replaced)


@app.command("sweep", short_help="Every combination of [weights], models and effects.")
def run_sweep(
    config: Config,
    output: Output = None,
    store: Annotated[
        Path | None,
        typer.Option(
            show_default=False, help="Folder for the members, in place of the file's own key store."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit every combination of [weights], models and effects that a TOML file lists. A sweep that
    was stopped goes on from there when it is run again.
    """
    with open_session() as console:
        from spillover.engine.config.sweep import read_sweep
        from spillover.engine.storage.output import begin, check_output, publish
        from spillover.engine.sweeps.sweep import sweep
        from spillover.engine.terminal.sweep import draw_conclusions, write_files

        task = read_sweep(config, output, store)
        kept = task.arguments["store"]
        check_output(task.output, overwrite)
        # a stopped sweep has left members but no tables, and its members are not replaced
        replaced = (task.output / "summary.csv").exists()
        begin(task.output, kept)
        with say_if_stopped(
            f"finished members are kept in {kept}: run it again, and it goes on there."
        ):
            out = sweep(**task.arguments)
            paths = publish(task.output, lambda folder: write_files(out, folder), whole=False)
        console.print(Text(repr(out), style="bold"))
        console.print(draw_conclusions(out))
        if len(out.failures):
            console.print(
                Text(f"{len(out.failures)} members failed: failures.csv says why.", style="yellow")
            )
        for path in paths:
            _print_line(console, f"wrote {path}")
        if replaced:
            _print_line(
                console, f"replaced the tables and pictures that were in {task.output} before"
            )


@app.command("devices", short_help="What JAX runs on, and what is kept on disk.")
def show_devices() -> None:
    """Show what JAX runs on, the precision in use, and where compiled programs and log-determinants
    are kept.
    """
    with open_session() as console:
        import jax

        from spillover.engine import cache
        from spillover.engine.devices import cache_folder, devices

        console.print(f"JAX {jax.__version__}")
        console.print(devices().to_string(index=False), highlight=False)
        programs = cache_folder() if jax.config.values["jax_compilation_cache_dir"] else "not kept"
        console.print(Text(f"compiled programs: {programs}"), soft_wrap=True)
        console.print(Text(f"log-determinants: {cache.folder() or 'not kept'}"), soft_wrap=True)


def _publish(model: "Model", output: Path, console: Console, sampler: dict[str, Any]) -> list[Path]:
    """Sample the posterior and maximise the likelihood; write every file; print the tables."""
    from spillover.engine.storage.output import publish
    from spillover.engine.terminal.fit import draw_tables, estimate, make_tables, write_files

    console.print(Text(repr(model), style="bold"))
    fit, ml = estimate(model, sampler)
    if isinstance(ml, SpilloverError):
        console.print(Text(f"No maximum-likelihood estimate. {ml}", style="yellow"))
    tables = make_tables(fit, ml)
    paths = publish(output, lambda folder: write_files(fit, tables, folder))
    for table in draw_tables(tables):
        console.print(table)
    return paths


def _list_files(console: Console, paths: list[Path], output: Path, replaced: bool) -> None:
    for path in paths:
        _print_line(console, f"wrote {path}")
    _say_replaced(console, output, replaced)


def _say_replaced(console: Console, output: Path, replaced: bool) -> None:
    if replaced:
        _print_line(console, f"replaced what was in {output} before")


def _print_line(console: Console, text: str) -> None:
    """Print one line, however long, so that a path can be copied whole."""
    console.print(Text(text), soft_wrap=True)
