"""Bayesian spatial econometrics on JAX and NumPyro.

A formula, a table and spatial weights make a model: `SAR`, `SEM`, `SDM`, `SDEM`, `SAC`, `GNS`,
`SLX` or `OLS`. Its `fit` draws from the posterior; the result has the coefficients, direct and
indirect impacts, and diagnostics of the draws. `sweep` fits many models, and `study` turns one
TOML file into a report.

>>> import spillover as so
>>> frame, W = so.munnell()
>>> panel = {"effects": "twoway", "unit": "state", "period": "year"}
>>> model = so.SDM(
...     "np.log(gsp) ~ np.log(pc) + np.log(emp) + unemp", frame, W.row_standardize(), **panel
... )
>>> fit = model.fit()  # doctest: +SKIP
>>> fit.impacts()  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spillover.engine.arviz_parts import finish_loading

finish_loading()
__version__ = "0.2.0.dev0"

# where each public name lives: a module is loaded when one of its names is first used, so that
# importing the package is quick
_HOMES = {
    "spillover.engine.estimation.compare": ("compare",),
    "spillover.engine.data.datasets": (
        "munnell",
        "province_coordinates",
        "province_indicators",
        "provinces",
    ),
    "spillover.engine.devices": ("devices", "keep_compiled"),
    "spillover.engine.exploration.moran": (
        "Moran",
        "MoranLocal",
        "MoranPanel",
        "moran",
        "moran_by_period",
        "moran_local",
    ),
    "spillover.engine.estimation.model": (
        "GNS",
        "OLS",
        "SAC",
        "SAR",
        "SDEM",
        "SDM",
        "SEM",
        "SLX",
        "Model",
    ),
    "spillover.engine.data.indices": ("Index", "entropy_index"),
    "spillover.engine.weights.logdet": ("LogDet",),
    "spillover.engine.estimation.ml": ("MLFit",),
    "spillover.engine.data.interpolation": ("Filled", "interpolate_panel"),
    "spillover.engine.estimation.results": ("Fit", "load"),
    "spillover.engine.specification.selection": ("select_model", "Selection"),
    "spillover.engine.specification.hypothesis_tests": (
        "hausman",
        "lm_tests",
        "lr_test",
        "mundlak",
        "spatial_hausman",
        "wald_common_factor",
        "wald_no_lag",
        "TestResult",
    ),
    "spillover.engine.studies.study": ("Study",),
    "spillover.engine.sweeps.sweep": ("sweep",),
    "spillover.engine.sweeps.results": ("Sweep", "open_sweep"),
    "spillover.engine.terminal.study": ("study",),
    "spillover.engine.weights.weights": ("Weights",),
    "spillover.engine.weights.reading": ("read_weights",),
    "spillover.kernels.errors": (
        "ConvergenceError",
        "DataError",
        "PriorError",
        "SpecificationError",
        "SpilloverError",
        "SpilloverWarning",
        "StorageError",
        "WeightsError",
    ),
    "spillover.models.priors": (
        "Conjugate",
        "Flat",
        "InverseGamma",
        "Priors",
        "Ridge",
        "ScaledBeta",
        "Shrinkage",
        "Uniform",
        "Zellner",
    ),
    "spillover.models.simulate": ("simulate",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = {"cache": "spillover.engine.cache", "plots": "spillover.plots"}

__all__ = ["__version__", *_HOME, *_MODULES]

if TYPE_CHECKING:
    from spillover import plots as plots
    from spillover.engine import cache as cache
    from spillover.engine.data.datasets import munnell as munnell
    from spillover.engine.data.datasets import province_coordinates as province_coordinates
    from spillover.engine.data.datasets import province_indicators as province_indicators
    from spillover.engine.data.datasets import provinces as provinces
    from spillover.engine.data.indices import Index as Index
    from spillover.engine.data.indices import entropy_index as entropy_index
    from spillover.engine.data.interpolation import Filled as Filled
    from spillover.engine.data.interpolation import interpolate_panel as interpolate_panel
    from spillover.engine.devices import devices as devices
    from spillover.engine.devices import keep_compiled as keep_compiled
    from spillover.engine.estimation.compare import compare as compare
    from spillover.engine.estimation.ml import MLFit as MLFit
    from spillover.engine.estimation.model import GNS as GNS
    from spillover.engine.estimation.model import OLS as OLS
    from spillover.engine.estimation.model import SAC as SAC
    from spillover.engine.estimation.model import SAR as SAR
    from spillover.engine.estimation.model import SDEM as SDEM
    from spillover.engine.estimation.model import SDM as SDM
    from spillover.engine.estimation.model import SEM as SEM
    from spillover.engine.estimation.model import SLX as SLX
    from spillover.engine.estimation.model import Model as Model
    from spillover.engine.estimation.results import Fit as Fit
    from spillover.engine.estimation.results import load as load
    from spillover.engine.exploration.moran import Moran as Moran
    from spillover.engine.exploration.moran import MoranLocal as MoranLocal
    from spillover.engine.exploration.moran import MoranPanel as MoranPanel
    from spillover.engine.exploration.moran import moran as moran
    from spillover.engine.exploration.moran import moran_by_period as moran_by_period
    from spillover.engine.exploration.moran import moran_local as moran_local
    from spillover.engine.specification.hypothesis_tests import TestResult as TestResult
    from spillover.engine.specification.hypothesis_tests import hausman as hausman
    from spillover.engine.specification.hypothesis_tests import lm_tests as lm_tests
    from spillover.engine.specification.hypothesis_tests import lr_test as lr_test
    from spillover.engine.specification.hypothesis_tests import mundlak as mundlak
    from spillover.engine.specification.hypothesis_tests import spatial_hausman as spatial_hausman
    from spillover.engine.specification.hypothesis_tests import (
        wald_common_factor as wald_common_factor,
    )
    from spillover.engine.specification.hypothesis_tests import wald_no_lag as wald_no_lag
    from spillover.engine.specification.selection import Selection as Selection
    from spillover.engine.specification.selection import select_model as select_model
    from spillover.engine.studies.study import Study as Study
    from spillover.engine.sweeps.results import Sweep as Sweep
    from spillover.engine.sweeps.results import open_sweep as open_sweep
    from spillover.engine.sweeps.sweep import sweep as sweep
    from spillover.engine.terminal.study import study as study
    from spillover.engine.weights.logdet import LogDet as LogDet
    from spillover.engine.weights.reading import read_weights as read_weights
    from spillover.engine.weights.weights import Weights as Weights
    from spillover.kernels.errors import ConvergenceError as ConvergenceError
    from spillover.kernels.errors import DataError as DataError
    from spillover.kernels.errors import PriorError as PriorError
    from spillover.kernels.errors import SpecificationError as SpecificationError
    from spillover.kernels.errors import SpilloverError as SpilloverError
    from spillover.kernels.errors import SpilloverWarning as SpilloverWarning
    from spillover.kernels.errors import StorageError as StorageError
    from spillover.kernels.errors import WeightsError as WeightsError
    from spillover.models.priors import Conjugate as Conjugate
    from spillover.models.priors import Flat as Flat
    from spillover.models.priors import InverseGamma as InverseGamma
    from spillover.models.priors import Priors as Priors
    from spillover.models.priors import Ridge as Ridge
    from spillover.models.priors import ScaledBeta as ScaledBeta
    from spillover.models.priors import Shrinkage as Shrinkage
    from spillover.models.priors import Uniform as Uniform
    from spillover.models.priors import Zellner as Zellner
    from spillover.models.simulate import simulate as simulate


def __getattr__(name: str) -> Any:
    finish_loading()
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOME:
        raise AttributeError(f"module 'spillover' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
