"""GluonCV's nets as this kit makes them against facts: names, shapes and sizes. For the others:
test_collection_nets.py.
"""

import pytest
from facts import CIFAR_NETS, PARAMETERS, RESNETS, SIZES

from gluon_tricks.models.names import GLUONCV_NETS
from gluon_tricks.models.registry import get_model, list_models
from gluon_tricks.models.sizes import count_multiply_adds, count_parameters

NETS = CIFAR_NETS + RESNETS


def saved_parameters(net):
    """{name in a .params file: Parameter}: what `save_parameters` goes through."""
    return net._collect_params_with_prefix()


def test_the_kit_has_35_of_gluoncvs_nets_and_a_fact_about_each():
    assert sorted(GLUONCV_NETS) == sorted(NETS) == sorted(PARAMETERS)
    assert list_models()[:35] == list(GLUONCV_NETS)
    assert (len(CIFAR_NETS), len(RESNETS)) == (11, 24)


@pytest.fixture(scope="module", params=NETS)
def named(request):
    """`(name, net)`: one net for all tests, which only read it; to make one of 152 layers takes half a second."""
    return request.param, get_model(request.param)


def test_names_and_shapes_in_a_params_file_are_gluoncvs(named):
    name, net = named
    assert ({key: parameter.shape for key, parameter in saved_parameters(net).items()}
            == {key: fact.shape for key, fact in PARAMETERS[name].items()})


def test_gluon_names_are_gluoncvs_up_to_the_nets_number(named):
    name, net = named
    numbered = net.prefix[-2].isdigit()  # from v1b on the prefix is fixed
    # of the first net of its kind
    first_prefix = f"{type(net).__name__.lower()}0_" if numbered else net.prefix
    got = {key: first_prefix + parameter.name[len(net.prefix):] for key,
           parameter in saved_parameters(net).items()}
    assert got == {key: fact.gluon_name for key, fact in PARAMETERS[name].items()}


def test_what_is_trained_is_what_gluoncv_trains(named):
    name, net = named
    assert ({key for key, parameter in saved_parameters(net).items() if parameter.grad_req != "null"}
            == {key for key, fact in PARAMETERS[name].items() if fact.trained})


def test_parameter_counts_are_the_published_ones(named):
    name, net = named
    assert count_parameters(net) == (SIZES[name].trainable, SIZES[name].with_statistics)


# unlike the shapes, they depend on where the strides are
@pytest.mark.slow
def test_multiply_adds_are_the_published_ones(named):
    name, net = named
    size = 32 if name in CIFAR_NETS else 224
    assert count_multiply_adds(net, (3, size, size)) == SIZES[name].multiply_adds
