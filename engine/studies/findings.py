"""What the steps of a study found: the record that its tables, sections and pictures read."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from spillover.engine.data.indices import Index
from spillover.engine.data.interpolation import Filled
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import Model
from spillover.engine.estimation.results import Fit
from spillover.engine.exploration.moran import MoranLocal, MoranPanel
from spillover.engine.specification.selection import Selection
from spillover.engine.studies.plan import StudyPlan
from spillover.engine.sweeps.results import Sweep
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import ConvergenceError


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """The plan of a study and the result of each of its steps.

    The attributes of `spillover.engine.studies.study.Study`, where each has its description.
    """

    plan: StudyPlan
    filled: Filled
    indices: Mapping[str, Index]
    frame: pd.DataFrame
    weights: Mapping[str, Weights]
    moran: Mapping[str, MoranPanel]
    local: Mapping[str, MoranLocal]
    moran_by_weights: pd.DataFrame
    selection: Selection
    model: Model
    fit: Fit
    ml: MLFit
    alternatives: Mapping[str, MLFit | ConvergenceError]
    robustness: Sweep
