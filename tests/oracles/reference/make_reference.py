"""Writes columbus_exact.json and produc_exact.json: maximum likelihood to a score of 1e-10 and
posteriors by quadrature.

Run from anywhere: python make_reference.py      needs NumPy, SciPy, pandas; about half a minute on
one core. Estimation uses one period's matrices at a time; every log-likelihood is then checked
against the dense one on the whole transformed space.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from oracles import dense  # noqa: E402

SPATIAL_ERROR = ("SEM", "SDEM", "SAC", "GNS")


def columbus():
    """y, X, row-standardised W, names of the columns of X."""
    data, links = pd.read_csv(HERE / "columbus.csv"), pd.read_csv(HERE / "columbus_weights.csv")
    A = np.zeros((len(data), len(data)))
    A[links["i"], links["j"]] = links["w"]
    X = np.column_stack([np.ones(len(data)), data["INC"], data["HOVAL"]])
    return (
        data["CRIME"].to_numpy(),
        X,
        A / A.sum(axis=1, keepdims=True),
        ["(Intercept)", "INC", "HOVAL"],
    )


def produc():
    """The same for the panel of 48 states, stacked period by period, states in alphabetical order;
    and T.
    """
    folder = ROOT / "engine" / "_root" / "data"
    data = pd.read_csv(folder / "munnell.csv").sort_values(["year", "state"])
    borders = pd.read_csv(folder / "states.csv").sort_values("state")
    names = list(borders["state"])
    A = np.zeros((len(names), len(names)))
    for i, others in enumerate(borders["neighbours"]):
        A[i, [names.index(s) for s in others.split(";")]] = 1.0
    X = np.column_stack(
        [
            np.ones(len(data)),
            np.log(data["pcap"]),
            np.log(data["pc"]),
            np.log(data["emp"]),
            data["unemp"],
        ]
    )
    y = np.log(data["gsp"].to_numpy())
    return (
        y,
        X,
        A / A.sum(axis=1, keepdims=True),
        ["(Intercept)", "lpcap", "lpc", "lemp", "unemp"],
        data["year"].nunique(),
    )


def column_names(p, names):
    """x, or lag.x for a Durbin term."""
    return [names[j] if what == "x" else "lag." + names[j] for what, j in p.columns]


def impact_table(values, names):
    """{"direct": {x: value}, ...} of a (k, 3) array, without the constant."""
    slopes = [j for j, n in enumerate(names) if n != "(Intercept)"]
    return {
        what: {names[j]: float(values[j, c]) for j in slopes}
        for c, what in enumerate(("direct", "indirect", "total"))
    }


def ml_entry(p, names):
    """Everything of one maximum-likelihood fit."""
    fit, k = dense.ml(p), len(names)
    own = column_names(p, names)
    check = dense.loglik(dense.expanded(p), fit["b"], fit["sigma2"], fit["rho"], fit["lambda"])
    assert abs(check - fit["loglik"]) < 1e-9 * abs(check), (check, fit["loglik"])
    assert fit["max_score"] < 1e-8, fit["max_score"]
    every = own + ["rho"] * p.has_rho + ["lambda"] * p.has_lambda + ["sigma2"]
    out = {
        "nu": p.nu,
        "loglik": fit["loglik"],
        "sigma2": fit["sigma2"],
        "coef": dict(zip(own, fit["b"].tolist(), strict=True)),
    }
    out |= {
        n: float(fit[n]) for n, there in (("rho", p.has_rho), ("lambda", p.has_lambda)) if there
    }
    out |= {
        "se_" + w: dict(zip(every, fit["se_" + w].tolist(), strict=True))
        for w in ("observed", "expected")
    }
    out["impacts"] = impact_table(
        dense.impacts(*dense.split(p, fit["b"], k), fit["rho"], p.raw_W), names
    )
    out |= {
        "impacts_se_" + w: impact_table(dense.impacts_se(p, fit, k, w), names)
        for w in ("observed", "expected")
    }
    out["max_score"] = fit["max_score"]
    out["local_optima"] = [[float(value), *map(float, v)] for value, v in fit["optima"]]
    return out


def posterior_entry(p, names, model):
    """Everything of one exact posterior; the constant is null where lambda reaches 1 and a flat
    prior leaves it without moments.
    """
    q, own = dense.posterior(p, k=len(names)), column_names(p, names)
    hidden = "(Intercept)" if model in SPATIAL_ERROR else None

    def table(values):
        return {n: None if n == hidden else float(v) for n, v in zip(own, values, strict=True)}

    out = {"nu": p.nu, "log_integral": q["log_integral"]}
    for i, n in enumerate(q["names"]):
        out[n] = {
            "mean": float(q["spatial_mean"][i]),
            "sd": float(q["spatial_sd"][i]),
            "quantiles": q["spatial_quantiles"][i].tolist(),
            "corr_coef": table(q["corr_spatial_b"][i]),
        }
    if len(q["names"]) == 2:
        out["corr_rho_lambda"] = float(q["spatial_cov"][0, 1] / q["spatial_sd"].prod())
    out |= {
        "coef_mean": table(q["b_mean"]),
        "coef_sd": table(q["b_sd"]),
        "sigma2": {"mean": q["sigma2_mean"], "sd": q["sigma2_sd"]},
    }
    return out | {
        "impacts_mean": impact_table(q["impacts_mean"], names),
        "impacts_sd": impact_table(q["impacts_sd"], names),
    }


def save(name, content):
    """Full double precision, one key a line."""
    (HERE / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def header(W):
    """What every file says of itself."""
    return {
        "made_by": "make_reference.py",
        "prior": "flat coefficients, 1/sigma2, rho and lambda uniform on (-1, 1)",
        "quantile_levels": list(dense.LEVELS),
        "interval": list(map(float, dense.interval(W))),
    }


def make_columbus():
    """All eight models of the cross-section."""
    y, X, W, names = columbus()
    rho = [-0.9, -0.5, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]
    out = header(W) | {
        "logdet": {
            "rho": rho,
            "value": [float(dense.logdet(r, W)) for r in rho],
            "derivative": [float(dense.dlogdet(r, W)) for r in rho],
        }
    }
    out["ml"] = {m: ml_entry(dense.problem(y, X, W, m), names) for m in dense.MODELS}
    out["posterior"] = {
        m: posterior_entry(dense.problem(y, X, W, m), names, m)
        for m in ("SAR", "SEM", "SDM", "SDEM", "SAC")
    }
    save("columbus_exact.json", out)


def make_produc():
    """The panel: seven models, four kinds of effects, two likelihoods; exact posteriors with unit
    and two-way effects.
    """
    y, X, W, names, T = produc()
    out = header(W) | {"ml": {}, "posterior": {}}
    for effects in dense.EFFECTS:
        out["ml"][effects] = {}
        for kind in ("transformed", "direct"):
            fits = {
                m: ml_entry(dense.problem(y, X, W, m, effects, T, kind=kind, expand=False), names)
                for m in dense.MODELS
                if m != "GNS"
            }
            out["ml"][effects][kind] = fits
    for effects in ("unit", "twoway"):
        out["posterior"][effects] = {
            "transformed": {
                m: posterior_entry(dense.problem(y, X, W, m, effects, T, expand=False), names, m)
                for m in ("SAR", "SEM", "SDM", "SDEM")
            }
        }
    save("produc_exact.json", out)


if __name__ == "__main__":
    make_columbus()
    make_produc()
