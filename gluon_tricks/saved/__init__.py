"""Saved parameters: their records, and nets made of both. Importing this file does not import MXNet."""


def load_net(params_file, run_json=None, num_gpus=0, dtype="float32", tta=None, **flags):
    """A net with its parameters, for a notebook.

        net = load_net("params/imagenet-resnet18_v1b-29.params")
        net.predict("photo.jpg")                              # [("cat", 0.93), ("dog", 0.05), ...]

    Parameters
    ----------
    params_file : path
        With the record of its training next to it, a .json file of the same name.
    run_json : path, optional
        Its record elsewhere.
    num_gpus : int
    dtype : str
    tta : "flip", "10crop" or None
        Test-time averaging, as `predict --tta`.
    flags
        Without a record, flags of `evaluate`: model, model_kwargs (a dict), classes, dataset, input_size,
        crop_ratio, rgb_mean, rgb_std.

    Returns
    -------
    LoadedNet

    Raises
    ------
    UserError
        If the net is unknown, a flag contradicts the record, or the file is damaged.
    """
    from gluon_tricks.engines.create import create_engine
    from gluon_tricks.models.ready import start_precision
    from gluon_tricks.saved.described import saved_net
    from gluon_tricks.saved.loaded import LoadedNet

    saved = saved_net(params_file, flags, run_json)
    start_precision(dtype)
    return LoadedNet(saved, create_engine(num_gpus), dtype, tta)
