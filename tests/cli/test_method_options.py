"""The options of methods on the command line."""

import dataclasses

import docstring_parser
import pytest

from xaijax.cli.method_options import method_options
from xaijax.methods.registry import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_its_help(name):
    options = method_options(name)
    told = {param.arg_name: param.description for param in docstring_parser.parse(options.__doc__).params}
    for field in dataclasses.fields(options):
        assert told[field.name].endswith("."), field.name


def test_options_make_the_method_of_their_defaults():
    for name, method in METHODS.items():
        assert method_options(name)().make() == method()
