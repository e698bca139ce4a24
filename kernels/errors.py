"""Every error that a user can cause: one family, caught by one name."""


class SpilloverError(Exception):
    """An input that cannot be used. The message names the culprit and the way out."""


class WeightsError(SpilloverError):
    """Weights that cannot serve as a spatial weights matrix, or not for what is asked of them."""


class FactorMemoryError(WeightsError):
    """Triangular factors of I - rho W that do not fit into memory.

    Of the package's own: callers catch it where another method does without factors.
    """


class DataError(SpilloverError):
    """A table that does not fit the formula, the panel or the weights."""


class SpecificationError(SpilloverError):
    """A model, an effect or an option that does not exist, or that does not go with another."""


class ArgumentError(SpecificationError, TypeError):
    """A call with an argument that is misspelt, missing or superfluous.

    A TypeError too, because that is what Python raises for such calls.
    """


class PriorError(SpilloverError):
    """A prior that names an unknown parameter, or does not suit the parameter it names."""


class StorageError(SpilloverError):
    """A file or folder that cannot be read or written, or does not hold what was written."""


class ConvergenceError(SpilloverError):
    """An iteration without an end: no interior maximum, no solution, no accurate integral."""


class SpilloverWarning(UserWarning):
    """A result that stands but deserves a second look."""
