"""What calls with wrong input complain about."""

from collections.abc import Callable

import pytest

from ssl_video.errors import InputError


def problems(function: Callable[..., object], *args: object, **kwargs: object) -> tuple[str, ...]:
    """What a call that must fail complains about."""
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return caught.value.problems
