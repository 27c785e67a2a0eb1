"""Our ResNets inside GluonCV's Faster R-CNN and FCN, beside GluonCV's own bases on the same weights."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.script import plan
from gluon_tricks.transfer import faster_rcnn as detector
from gluon_tricks.transfer import fcn as scenes
from gluon_tricks.transfer.backbone import base_network, start_base
from gluon_tricks.transfer.shape import FPN, VOC

gluoncv = pytest.importorskip("gluoncv")

ENGINE = SingleProcess([mx.cpu()])
SMALL = dict(image_short=64, rpn_channel=16, rpn_train_post_nms=20, rpn_test_post_nms=8, rcnn_num_samples=8,
             rpn_train_pre_nms=60, rpn_test_pre_nms=60, max_num_gt=5)


def images(size, count=1, seed=0):
    return nd.array(np.random.default_rng(seed).normal(size=(count, 3, size, size)))


def give(source, target, folder):
    """Load the parameters of one net into another of the same names; statistics are made other than 0 and 1
    first."""
    rng = np.random.default_rng(1)
    for name, param in source._collect_params_with_prefix().items():
        low, high = {"running_mean": (-0.1, 0.1), "running_var": (0.5, 1.5), "gamma": (0.3, 0.6),
                     "beta": (0.0, 0.2)}.get(name.rpartition(".")[2], (None, None))
        if low is not None:
            param.set_data(nd.array(rng.uniform(low, high, param.shape)))
    path = str(folder / "weights.params")
    source.save_parameters(path)
    target.load_parameters(path)


def close(ours, theirs):
    for one, other in zip(ours, theirs):
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, np.abs(other).max()), rtol=0)


@pytest.mark.parametrize("ours, theirs", [("resnet50_v1s", "resnet50")])
@pytest.mark.slow
def test_fcn_equals_gluoncvs_on_the_same_weights(ours, theirs, tmp_path):
    published = gluoncv.model_zoo.FCN(5, backbone=theirs, aux=True, pretrained_base=False, crop_size=64)
    published.collect_params().setattr("grad_req", "null")       # no memory for gradients
    for param in published.collect_params().values():
        if param._data is None:
            param.initialize()
    published(images(64))
    base = base_network("--backbone", ours, dilated=True)
    start_base(base, ours)
    net = scenes.fcn(base, 5, aux=True)
    scenes.prepare(net, ENGINE, 64)
    give(published, net, tmp_path)
    answers = net(images(64, 2)), published(images(64, 2))
    assert np.abs(answers[1][0].asnumpy()).max() > 0.01
    close(*answers)
    net.hybridize()
    close(net(images(64, 2)), answers[1])


@pytest.mark.parametrize("name", ["resnet18_v1b", "resnet50_v1d"])
@pytest.mark.slow
def test_dilated_stages_equal_gluoncvs(name, tmp_path):
    published = gluoncv.model_zoo.get_model(name, pretrained=False, dilated=True)
    published.initialize(mx.init.MSRAPrelu())
    base = base_network("--backbone", name, dilated=True)
    start_base(base, name)
    published(images(64))
    give(published, base, tmp_path)
    maps = []
    for net in (base, published):
        x = images(64)
        for layer in (net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3,
                      net.layer4):
            x = layer(x)
        maps.append(x)
    assert maps[0].shape[2:] == (8, 8)          # stride 8, not 32
    close(maps[:1], maps[1:])


@pytest.mark.slow
def test_faster_rcnn_equals_gluoncvs_on_the_same_weights(tmp_path):
    """The published model, but for fewer proposals: boxes, scores, and which parameters learn."""
    official, name = "faster_rcnn_resnet50_v1b_voc", "resnet50_v1b"
    published = gluoncv.model_zoo.get_model(official, pretrained=False, pretrained_base=False)
    published.rpn._test_post_nms = published._rpn_test_post_nms = 8
    for param in published.collect_params().values():
        if param._data is None:
            param.initialize()
    published(images(64))
    published.target_generator.collect_params()
    base = base_network("--network", name, frozen_norm=True)
    start_base(base, name)
    shape = VOC._replace(rpn_test_post_nms=8, image_short=64)
    net = detector.faster_rcnn(base, published.classes, shape)
    detector.prepare(net, ENGINE)
    give(published, net, tmp_path)
    ours, theirs = net(images(64)), published(images(64))
    assert (theirs[1].asnumpy() > 0).any()
    close(ours, theirs)
    close(net.features(images(64)), published.features(images(64)))
    learns = {key for key, param in net._collect_params_with_prefix().items() if param.grad_req != "null"}
    wanted = published.collect_train_params()
    names = {param.name: key for key, param in published._collect_params_with_prefix().items()}
    assert learns == {names[key] for key, param in wanted.items() if param.grad_req != "null"}
    theirs = [param for param in wanted.values() if param.grad_req != "null"]
    [(_, said)] = plan.learning_rows(net)
    assert said.startswith(f"{sum(param.data().size for param in theirs):,} trained in {len(theirs)} arrays; "
                           "")


@pytest.mark.parametrize("name", ["resnet18_v1", "resnet18_v1b"])
@pytest.mark.slow
def test_losses_equal_gluoncvs_training_task(name):
    from gluoncv.model_zoo.rcnn.faster_rcnn.data_parallel import ForwardBackwardTask
    from mxnet import autograd

    base = base_network("--network", name, frozen_norm=True)
    mx.random.seed(3)
    start_base(base, name)
    net = detector.faster_rcnn(base, ["a", "b"], VOC._replace(**SMALL), batch_size=2)
    detector.prepare(net, ENGINE)
    rng = np.random.default_rng(0)
    anchors = 4 * 4 * 15
    label = np.full((2, 3, 6), -1.0)
    label[:, 0] = [5, 6, 30, 40, 1, 0]
    label[0, 1] = [20, 10, 60, 50, 0, 0]
    cls = rng.integers(-1, 2, (2, anchors)).astype(np.float64)
    mask = np.repeat((cls == 1)[..., None], 4, axis=2)
    batch = [nd.array(a) for a in (images(64, 2).asnumpy(), label, cls,
                                   rng.normal(size=(2, anchors, 4)) * mask, mask)]
    losses = {}
    kinds = ("rpn_cls", "rpn_box", "rcnn_cls", "rcnn_box")
    task = ForwardBackwardTask(net, None, *[getattr(detector.Losses(net), kind) for kind in kinds],
                               mix_ratio=0.5, amp_enabled=False)
    mx.random.seed(5)
    theirs = task.forward_backward(batch)
    params = net.collect_params()
    gradients = {key: param.grad().asnumpy().copy() for key, param in params.items()
                 if param.grad_req != "null"}
    mx.random.seed(5)
    with autograd.record():
        loss, losses = detector.Losses(net)(*batch, weight=0.5)
    loss.backward()
    for figure, value in zip(detector.METRICS[:4], theirs[:4]):
        np.testing.assert_allclose(losses[figure][0].asscalar(), value.asscalar(), rtol=1e-5)
    from gluoncv.utils.metrics.rcnn import RCNNAccMetric, RCNNL1LossMetric, RPNAccMetric, RPNL1LossMetric
    for figure, metric, given in zip(detector.METRICS[4:],
                                     (RPNAccMetric(), RPNL1LossMetric(), RCNNAccMetric(),
                                                            RCNNL1LossMetric()), theirs[4:]):
        metric.update(*given)
        total, count = losses[figure]
        np.testing.assert_allclose(total.asscalar() / count.asscalar(), metric.get()[1], rtol=1e-5,
                                   err_msg=figure)
    assert gradients
    for key, value in gradients.items():
        np.testing.assert_allclose(params[key].grad().asnumpy(), value,
                                   atol=1e-5 * max(1, np.abs(value).max()))


def test_feature_pyramid_has_five_maps():
    base = base_network("--network", "resnet18_v1b", frozen_norm=True)
    start_base(base, "resnet18_v1b")
    shape = FPN._replace(image_short=64, num_fpn_filters=8, rpn_channel=8, num_box_head_dense_filters=16,
                                  rpn_test_post_nms=8, rpn_test_pre_nms=60, rpn_train_post_nms=20,
                         rcnn_num_samples=8)
    net = detector.faster_rcnn(base, ["a"], shape, use_fpn=True)
    detector.prepare(net, ENGINE)
    assert [out.shape[2] for out in net.features(images(64))] == [16, 8, 4, 2, 1]
    assert net(images(64))[2].shape[2] == 4


def test_each_region_gets_the_features_of_its_level():
    base = base_network("--network", "resnet18_v1b", frozen_norm=True)
    start_base(base, "resnet18_v1b")
    net = detector.faster_rcnn(base, ["a"], FPN, use_fpn=True)
    rng = np.random.default_rng(0)
    maps = [nd.array(rng.normal(size=(2, 3, 512 // stride, 512 // stride))) for stride in (4, 8, 16, 32, 64)]
    # k = floor(4 + log2(sqrt(w h) / 224)), within 2 to 5 (Lin et al. 2017, equation 1): sides of 40, 113,
    # 225, 500 pixels
    rois, levels = [[0, 5, 6, 44, 45], [1, 9, 9, 121, 121], [1, 0, 0, 224, 224], [0, 2, 2, 501, 501]], [2, 3,
                                                                                                        4, 5]
    got = net._pyramid_roi_feats(nd, maps, nd.array(rois), (7, 7), (4, 8, 16, 32, 64)).asnumpy()
    for i, (roi, level) in enumerate(zip(rois, levels)):
        alone = nd.contrib.ROIAlign(maps[level - 2], nd.array([roi]), (7, 7), 1 / 2 ** level,
                                    sample_ratio=2).asnumpy()
        np.testing.assert_allclose(got[i], alone[0], atol=1e-6)


def test_weights_of_a_classifier_become_the_base(tmp_path):
    from gluon_tricks.models.registry import get_model

    classifier = get_model("resnet18_v1b", classes=7)
    classifier.initialize()
    classifier(images(64))
    classifier.save_parameters(str(tmp_path / "seven.params"))
    base = base_network("--network", "resnet18_v1b", dilated=True)
    said = start_base(base, "resnet18_v1b", params_file=tmp_path / "seven.params")
    assert said.endswith("seven.params")
    np.testing.assert_array_equal(base.layer4[0].conv1.weight.data().asnumpy(),
                                  classifier.layer4[0].conv1.weight.data().asnumpy())
    for name, says in (("resnet34_v1b", "has no layer1.2"),
                       ("resnet50_v1b", "it has no layer1.0.conv3.weight")):
        with pytest.raises(UserError, match=says):
            start_base(base_network("--network", name), name, params_file=tmp_path / "seven.params")


@pytest.mark.parametrize("make, says", [
    (lambda: base_network("--network", "mobilenet1.0"), "--network mobilenet1.0: is no ResNet of this kit"),
    (lambda: base_network("--backbone", "resnet50_v1", dilated=True), "has no dilated form"),
    (lambda: base_network("--network", "resnet50_v1b_gn", frozen_norm=True), "has no BatchNorm to freeze"),
    (lambda: start_base(base_network("--network", "resnet18_v1b"), "resnet18_v1b",
                        params_file="/nowhere.params"),
     "--backbone-params /nowhere.params: cannot be read"),
])
def test_unusable_bases_are_named(make, says):
    with pytest.raises(UserError, match=says):
        make()
