"""Every error a user can cause: one family, caught by one name."""


class SpilloverError(Exception):
    """An input that cannot be used; the message names the culprit and the way out."""


class WeightsError(SpilloverError):
    """A weights matrix that is not one."""


class FactorMemoryError(WeightsError):
    """Triangular factors of I - rho W that do not fit into memory. Caught inside the package, where
    another method does without them.
    """


class DataError(SpilloverError):
    """A table that does not fit the formula, the panel or the weights."""


class SpecificationError(SpilloverError):
    """A model, an effect or an option that does not exist or does not combine."""


class ArgumentError(SpecificationError, TypeError):
    """A call that does not fit: an argument misspelt, missing or too much. A TypeError too, as such
    calls are everywhere in Python.
    """


class PriorError(SpilloverError):
    """A prior that names an unknown parameter or does not fit it."""


class StorageError(SpilloverError):
    """A file or folder that cannot be read or written, or does not hold what was written."""


class ConvergenceError(SpilloverError):
    """A maximisation that found no interior maximum."""


class SpilloverWarning(UserWarning):
    """A result that is there but deserves a second look."""
