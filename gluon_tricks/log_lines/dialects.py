"""GluonCV's log lines of a script, for each log interval and each epoch.

`numbers` is a record of metrics.jsonl; `metric` is the key of the training metric in it.
"""

from gluon_tricks.log_lines.lines import (
    CifarEpoch,
    HorovodBatch,
    HorovodLoss,
    HorovodSpeed,
    HorovodTrain,
    HorovodValidation,
    ImagenetBatch,
    ImagenetSpeed,
    ImagenetTrain,
    ImagenetValidation,
)


class CifarDialect:
    """train_cifar10.py and train_mixup_cifar10.py: one line per epoch, whose time includes validation."""

    prefix = "%(levelname)s:%(name)s:"

    @staticmethod
    def interval_lines(numbers, metric):
        return ()

    @staticmethod
    def epoch_lines(numbers, metric):
        val = 1 - numbers["err_top1"]
        yield str(CifarEpoch(numbers["epoch"], numbers[metric], val, numbers["loss"], numbers["time_s"]))


class ImagenetDialect:
    """train_imagenet.py since 2021-04: no prefix, batches counted from 1, time cost without validation."""

    prefix = ""

    @staticmethod
    def interval_lines(numbers, metric):
        yield str(ImagenetBatch(numbers["epoch"], numbers["batch"], numbers["samples_per_s"],
                                metric, numbers[metric], numbers["lr"]))

    @staticmethod
    def epoch_lines(numbers, metric):
        epoch = numbers["epoch"]
        yield str(ImagenetTrain(epoch, metric, numbers[metric]))
        yield str(ImagenetSpeed(epoch, int(numbers["samples_per_s"]), numbers["train_s"]))
        yield str(ImagenetValidation(epoch, numbers["err_top1"], numbers["err_top5"]))


class HorovodDialect:
    """train_horovod.py: loss and metric on two lines, accuracies.

    Validation is printed every `eval_frequency` epochs and after the last one (0: only after the last one).
    The rank is 0, the writer's. The figures are those of all workers.
    """

    prefix = "%(levelname)s:%(name)s:"

    def __init__(self, eval_frequency, num_epochs):
        self.eval_frequency, self.num_epochs = eval_frequency, num_epochs

    @staticmethod
    def interval_lines(numbers, metric):
        yield str(HorovodLoss(numbers["epoch"], numbers["batch"], numbers["loss"]))
        yield str(HorovodBatch(numbers["epoch"], 0, numbers["batch"], metric, numbers[metric], numbers["lr"]))

    def epoch_lines(self, numbers, metric):
        epoch, done = numbers["epoch"], numbers["epoch"] + 1
        yield str(HorovodTrain(epoch, 0, numbers["batch"], numbers["train_s"], numbers[metric]))
        yield str(HorovodSpeed(epoch, numbers["samples_per_s"]))
        if done == self.num_epochs or self.eval_frequency and done % self.eval_frequency == 0:
            yield str(HorovodValidation(epoch, 0, 1 - numbers["err_top1"], 1 - numbers["err_top5"]))
