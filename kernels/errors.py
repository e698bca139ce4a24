"""Every error that a user can cause: one family, caught by one name."""


class SpilloverError(Exception):
    """An input that cannot be used; the message names the culprit and says what to do."""


class WeightsError(SpilloverError):
    """Weights that are not a spatial weights matrix, or do not allow what is asked of them."""


class FactorMemoryError(WeightsError):
    """Triangular factors of I - rho W that do not fit into memory.

    The package itself catches it where another method needs no factors.
    """


class DataError(SpilloverError):
    """A table that does not fit the formula, the panel or the weights."""


class SpecificationError(SpilloverError):
    """A model, an effect or an option that does not exist or cannot be combined with another."""


class ArgumentError(SpecificationError, TypeError):
    """A call with an argument that is misspelt, missing or superfluous.

    A TypeError too, because that is what Python raises for such calls.
    """


class PriorError(SpilloverError):
    """A prior that names an unknown parameter, or does not suit the parameter it names."""


class StorageError(SpilloverError):
    """A file or folder that cannot be read or written, or no longer holds what was written."""


class ConvergenceError(SpilloverError):
    """A computation that did not converge: no interior maximum, solution or accurate integral."""


class SpilloverWarning(UserWarning):
    """A result that stands but deserves a second look."""
