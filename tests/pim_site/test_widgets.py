"""Boxes that several forms of the console use."""

import pytest
from django import forms
from pytest_django.asserts import assertHTMLEqual

from pim_site.admin.widgets import LongSelect

CHOICES = [("", "never"), (60, "1 min"), ("Europe/Berlin", "Europe/Berlin"), ('"><b>', "<b>&amp;")]


@pytest.mark.parametrize("value", [None, "", 60, "60", "Europe/Berlin", '"><b>', "nowhere"])
def test_long_select_is_what_the_stock_box_is(value):
    attributes = {"id": "id_zone", "required": True, "disabled": False, "aria-describedby": 'a"b'}
    long, stock = (box(attrs={"class": "wide"}, choices=CHOICES) for box in (LongSelect, forms.Select))

    assertHTMLEqual(long.render("zone", value, attributes), stock.render("zone", value, attributes))
