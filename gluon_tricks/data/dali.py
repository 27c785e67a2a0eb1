"""Batches by NVIDIA DALI, decoded on CPUs or GPUs. **Not run**: no machine with DALI was available.

The pipeline is GluonCV's: random crop, flip and normalisation, *no* colour jitter and no PCA noise, which the
published runs had. DALI's wheels are on NVIDIA's index, not on PyPI; 1.30 is among those with the MXNet
plugin.
"""

import math

from gluon_tricks.data.imagenet_augment import AREA, RATIO, TRIES
from gluon_tricks.data.loaders import Batch, EqualEpochs
from gluon_tricks.data.recordio import read_index
from gluon_tricks.errors import UserError

INSTALL = ("pip install --extra-index-url https://developer.download.nvidia.com/compute/redist "
           "nvidia-dali-cuda110")


class DaliLoader(EqualEpochs):
    """One pipeline per GPU, each over its share of the records. One parameter for each of the script's flags.

    Parameters
    ----------
    rec, idx : path
    batch_size : int
        Images over all devices.
    train : bool
        Random crops in random order, or central crops in the order of the file.
    decode_on : "cpu" or "gpu"
    num_gpus : int
    size, crop_ratio, mean, std
        As in the script's flags.
    num_threads, prefetch_queue, nvjpeg_padding, fuse_decoder
        Per pipeline; the padding in MB. Fused, only the crop's part of an image is decoded.
    """

    resumes_anywhere = False

    # So many parameters because each is a flag
    def __init__(self, rec, idx, batch_size, train, decode_on, num_gpus, size, crop_ratio, mean, std,
                 num_threads, prefetch_queue, nvjpeg_padding, fuse_decoder):
        fn, types, pipeline_def, iterator = import_dali()
        self.records, self.batch_size, self.train = len(read_index(idx)[0]), batch_size, train
        whole, rest = divmod(self.records, batch_size)
        self.batches_per_epoch = whole if train else whole + (rest > 0)
        device = "mixed" if decode_on == "gpu" else "cpu"
        padding = {"device_memory_padding": nvjpeg_padding << 20, "host_memory_padding": nvjpeg_padding << 20}
        crop = {"random_area": AREA, "random_aspect_ratio": RATIO, "num_attempts": TRIES}

        @pipeline_def
        def pipeline(shard):
            encoded, labels = fn.readers.mxnet(path=[str(rec)], index_path=[str(idx)], random_shuffle=train,
                                               name="reader",
                                               shard_id=shard, num_shards=num_gpus, pad_last_batch=not train)
            if train and fuse_decoder:
                images = fn.decoders.image_random_crop(encoded, device=device, output_type=types.RGB,
                                                       **padding, **crop)
                images = fn.resize(images, resize_x=size, resize_y=size)
            elif train:
                images = fn.decoders.image(encoded, device=device, output_type=types.RGB, **padding)
                images = fn.random_resized_crop(images, size=size, **crop)
            else:
                images = fn.decoders.image(encoded, device=device, output_type=types.RGB, **padding)
                images = fn.resize(images, resize_shorter=math.ceil(size / crop_ratio))
            images = fn.crop_mirror_normalize(images.gpu(), crop=(size, size), mean=list(mean), std=list(std),
                                              mirror=fn.random.coin_flip() if train else 0,
                                              output_layout="CHW")
            return images, labels.gpu()

        pipelines = [pipeline(shard, batch_size=batch_size // num_gpus, num_threads=num_threads,
                              device_id=shard,
                              prefetch_queue_depth=prefetch_queue) for shard in range(num_gpus)]
        self._iterator = iterator(pipelines, reader_name="reader", auto_reset=True)

    def epoch(self, epoch, start=0):
        """Batches of lists, one array per device."""
        if start:
            raise UserError(f"--data-backend dali-*: DALI cannot go on at batch {start} of an epoch; resume "
                            f"at its start")
        for number, shares in enumerate(self._iterator):
            if self.train and number == self.batches_per_epoch:
                self._iterator.reset()
                return
            valid = [len(share.data[0]) - share.pad for share in shares]
            yield Batch([share.data[0][:n] for share, n in zip(shares, valid)],
                        [share.label[0][:n].reshape(-1) for share, n in zip(shares, valid)], None)


def import_dali():
    """Import what the pipeline needs from DALI: fn, types, pipeline_def, iterator.

    Raises
    ------
    UserError
        If DALI, or its plugin for MXNet, is not installed.
    """
    try:
        from nvidia.dali import fn, pipeline_def, types
        from nvidia.dali.plugin.mxnet import DALIClassificationIterator
    except ImportError as error:
        raise UserError(f"--data-backend dali-*: NVIDIA DALI with its MXNet plugin is not installed "
                        f"({error}); {INSTALL}, or use --data-backend mxnet or ours") from error
    return fn, types, pipeline_def, DALIClassificationIterator
