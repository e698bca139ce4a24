"""Messages that no row of the tables provokes: the tests that do, or why none does."""

ELSEWHERE = {
    **dict.fromkeys(
        (
            "The fits are of different data",
            "The fits have different weights",
            "One fit is by method=",
            " leave different data: compare the same model with both",
            " has no rho: the common factor",
            " has no lagged regressors: this is a test",
            ": give one with 'unit' or 'twoway' effects",
            "The fit with random effects lacks ",
            "The fixed effects are those of the periods too",
            ": give OLS and SEM, or SLX and SDEM",
            "The spatial Hausman test takes fixed effects",
            ": give the smaller model first",
            " has no likelihood ratio",
        ),
        "engine/specification/test_hypothesis_tests.py",
    ),
    **dict.fromkeys(
        (
            " coefficients.",
            " for a prior of beta",
            "; the model has ",
            "is not symmetric and positive",
        ),
        "models/test_priors.py",
    ),
    **dict.fromkeys(
        (
            ", has its support in (",
            ", has an empty support, ",
            "its support is no interval",
            "give one that overlaps it",
        ),
        "engine/estimation/test_hard_bounds.py",
    ),
    **dict.fromkeys(
        ("NUTS does not give", "the sum over orders diverges"), "engine/estimation/test_results.py"
    ),
    **dict.fromkeys(
        ("Give each unit its area", "contiguity needs libpysal", "no active geometry"),
        "engine/weights/test_builders_refused.py",
    ),
    **dict.fromkeys(
        (". Take their centroids", "the points are in "), "engine/weights/test_places.py"
    ),
    **dict.fromkeys(
        (
            "needs conjugate priors of beta",
            "The marginal likelihood needs proper",
            "The quadrature over the spatial",
        ),
        "engine/estimation/test_exact.py",
    ),
    **dict.fromkeys(
        (": no evidence. Row-standardise", "the quasi-likelihood of period effects"),
        "engine/estimation/test_evidence.py",
    ),
    **dict.fromkeys(
        (
            ": leave out what repeats it, or give",
            " is absorbed by the effects, because it does not vary ",
            " is a linear combination of ",
        ),
        "engine/estimation/test_problem_response.py",
    ),
    " is no fit that can be used": "engine/estimation/test_saving.py",
    " values: weights are real numbers.": "engine/weights/test_weights.py",
    "so small that float64 holds them as 0": "engine/test_labels_conversions.py",
    "Every prior of this fit is improper": "engine/estimation/test_plots.py",
    " has no interior maximum": "engine/estimation/test_ml_reference.py",
    " is not positive definite at the estimates": "engine/estimation/test_conditioning.py",
    "SpecificationError(panel)": "engine/sweeps/test_sweep.py",
    " within units and periods, more than": "models/test_prosperity.py",
}

UNPROVOKED = {  # what takes more than a wrong input to bring about
    ": the posterior of rho and lam is too rough": "a quadrature that settles at none of its steps",
    "More than half of the normal draws": "a standard error of rho as wide as its interval",
    "The estimate of sigma_alpha is 0": "a search that ends at the edge",
    ": the first is no restriction of the second": (
        "a likelihood that falls as parameters are added"
    ),
    "the corrected score of this model": "two weights whose rows have several sums each",
    "what it expects of the curvature": "the same",
    ": Mundlak's test is of a fit": "a fit by maximum likelihood of other effects",
    " chunks of the sweep were lost": "Dask workers that die four times over",
    "client= needs Dask": "a Python without Dask",
    " indicators still move by ": "a fixed point that is none",
}
