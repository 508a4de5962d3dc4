from concurrent.futures import ThreadPoolExecutor

import pytest

from audit.context import Origin, bind, current


def test_current_is_the_system_when_nothing_is_bound():
    assert current() == Origin(correlation_id="", address="", via="system")


def test_bind_holds_for_the_block():
    with bind(correlation_id="c1", address="192.0.2.7", via="session totp") as origin:
        assert current() == origin == Origin("c1", "192.0.2.7", "session totp")
    assert current().via == "system"


def test_bind_gives_back_the_outer_origin():
    with bind(via="command"):
        with bind(via="session totp"):
            pass
        assert current().via == "command"


def test_bind_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), bind(via="command"):
        raise ZeroDivisionError
    assert current().via == "system"


def test_bind_is_not_seen_by_another_thread():
    with bind(via="command"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(current).result().via == "system"
