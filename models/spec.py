"""The family of models: three flags, not eight classes.

    S_lam [S(rho) y - X beta - W X theta] = e,    e ~ N(0, sigma^2 I)

with S(rho) = I - rho W and S_lam = I - lam M.
"""

from dataclasses import dataclass

from spillover.kernels.arguments import choice

# name: (rho, theta, lam). LeSage & Pace (2009); Elhorst (2014)
FLAGS = {
    "OLS": (False, False, False),
    "SLX": (False, True, False),
    "SAR": (True, False, False),
    "SEM": (False, False, True),
    "SDM": (True, True, False),
    "SDEM": (False, True, True),
    "SAC": (True, False, True),
    "GNS": (True, True, True),
}
EFFECTS = ("none", "unit", "period", "twoway")
RANDOM = ("random", "correlated_random")
LIKELIHOODS = ("transformed", "direct", "lsdv")


@dataclass(frozen=True)
class Spec:
    """The name of a model, which says which of rho, theta and lam it has, and its effects."""

    name: str
    effects: str = "none"

    @property
    def lag(self) -> bool:
        """Whether the model has rho W y."""
        return FLAGS[self.name][0]

    @property
    def durbin(self) -> bool:
        """Whether the model has W X theta."""
        return FLAGS[self.name][1]

    @property
    def error(self) -> bool:
        """Whether the model has lam M u."""
        return FLAGS[self.name][2]

    @property
    def random(self) -> bool:
        """Whether the effects of the units are random: alpha_i ~ N(0, sigma_alpha^2)."""
        return self.effects in RANDOM


def specify(name: str, effects: str) -> Spec:
    """The specification of a known model and known effects.

    Raises
    ------
    SpecificationError
        Names what is unknown, and lists the choices.
    """
    return Spec(
        choice("is no model", name, FLAGS), choice("are no effects", effects, EFFECTS + RANDOM)
    )
