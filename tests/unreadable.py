"""Files of weights that cannot be read, and what is said of them."""

from pathlib import Path
from typing import Any

import pytest

from spillover.engine.weights.reading import read_weights
from spillover.kernels.errors import WeightsError


def read_error(path: Path, **options: Any) -> str:
    """What `read_weights` says of a file that it refuses: its path is named, once."""
    with pytest.raises(WeightsError) as caught:
        read_weights(path, **options)
    message = str(caught.value)
    assert message.count(str(path)) == 1
    return message
