"""Kinds of one's own, as docs/alerts.md tells to write them."""

import re
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks

from alerts.models import Alert, Incident
from alerts.registry import BROKEN, KINDS, alert, load
from alerts.tasks import scan_due
from tests.factories import EligibleFactory, UserFactory

DOCUMENTATION = (Path(__file__).parents[2] / "docs/alerts.md").read_text()


@pytest.fixture
def own(tmp_path, monkeypatch, settings):
    """Load the module of an operator with this text."""
    monkeypatch.syspath_prepend(tmp_path)
    settings.ALERT_MODULES = ["own_alerts"]
    before = dict(KINDS)

    def write(text):
        (tmp_path / "own_alerts.py").write_text(text)
        load()

    yield write
    KINDS.clear()
    KINDS.update(before)
    BROKEN.clear()
    sys.modules.pop("own_alerts", None)


@pytest.mark.django_db
def test_kind_in_the_documentation_works_as_it_is_written(own):
    own(re.search(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)[1])
    person = UserFactory(display_name="Ada")
    EligibleFactory.create_batch(10, user=person)
    EligibleFactory.create_batch(9, user=UserFactory())
    Alert.objects.all().delete()

    scan_due()

    incident = Incident.objects.get(alert="many_roles")
    assert (incident.words, incident.about) == ("Ada is eligible for 10 roles.", person)


def test_kind_in_the_documentation_has_about_twenty_lines():
    text = re.search(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)[1]
    assert len([line for line in text.splitlines() if line]) <= 20


@pytest.mark.parametrize("text", ["import no_such_module", "1 / 0", "this is no Python"])
def test_module_that_cannot_be_loaded_is_an_error_that_names_it(own, text):
    own(text)

    [error] = [found for found in run_checks(tags=["pim"]) if found.id == "pim.E050"]
    assert "own_alerts" in error.msg


def test_key_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="no_mfa"):
        alert("no_mfa")(print)


def test_every_kind_is_documented_with_its_severity_and_thresholds():
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \| .*? \| (.*?) \| (.*?) \|$", DOCUMENTATION, re.MULTILINE)
    assert {key: severity for key, severity, *_ in documented} == {
        key: str(kind.severity.label) for key, kind in KINDS.items()
    }
    for key, _severity, thresholds, _repair in documented:
        numbers = [tuple(map(int, found)) for found in re.findall(r"\((\d+)(?: %)?, (\d+)–(\d+)\)", thresholds)]
        assert numbers == [(each.default, each.low, each.high) for each in KINDS[key].thresholds], key
    for key, *_, repair in documented:
        assert bool(KINDS[key].repair) == (repair != "–"), key
