"""Flags of `evaluate`, `predict` and `export` that name a saved net and its images."""


from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError
from gluon_tricks.files import output_files
from gluon_tricks.recipes.data_paths import RGB_MEAN, RGB_STD
from gluon_tricks.saved.averaging import VIEWS
from gluon_tricks.saved.described import GIVEN, saved_net
from gluon_tricks.saved.tally import ROUNDING
from gluon_tricks.script.flags import check_dtype, check_numbers, completed, keywords


def add_model_flags(parser):
    """Add the flags that name the net; returns their group."""
    group = parser.add_argument_group("Model (not needed for parameters with the record of their training)")
    group.add_argument("--params-file", metavar="FILE", help="parameters of the net (default: --pretrained)")
    group.add_argument("--run-json", metavar="FILE",
                       help="record of the training that wrote the parameters: NAME.json, run.json or the "
                            "resume file (default: NAME.json next to NAME.params, if any); flags that "
                            "contradict it are refused; none: use no record")
    group.add_argument("--model", help="a name of this kit or of GluonCV's zoo, such as resnet50_v1d")
    group.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                       help="further arguments of the net, as in train_cifar.py; drop_rate=RATE too")
    group.add_argument("--pretrained", action="store_true", help="GluonCV's published weights (downloaded)")
    group.add_argument("--classes", type=int,
                       help="width of the classifier (default: as in the parameter file)")
    group.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    return group


def add_pixel_flags(group, with_dataset=True):
    """Add the flags for the preparation of the net's images."""
    if with_dataset:
        group.add_argument("--dataset", choices=tuple(DATASETS),
                           help="its channels, size and normalisation (default: the run's; else CIFAR-10's "
                                "for cifar_*, ImageNet's for others)")
    group.add_argument("--input-size", type=int,
                       help="side of the images in pixels (default: the run's, else the net's: 224 for most)")
    group.add_argument("--crop-ratio", type=float,
                       help="images are resized to size / ratio (default: the run's, else 0.875; for data "
                            "sets of train_cifar.py 1)")
    group.add_argument("--rgb-mean", metavar="R,G,B",
                       help="channel means, 0..255; one number for grey images (default: the run's, else "
                            "GluonCV's for the data set)")
    group.add_argument("--rgb-std", metavar="R,G,B",
                       help="channel deviations, 0..255; one number for grey images (default: the run's, "
                            "else GluonCV's for the data set)")
    group.add_argument("--augment", choices=("gluoncv", "follow-up"),
                       help="--augment of the train_cifar.py run; follow-up normalises by ImageNet's mean "
                            "and deviation (default: the run's, else gluoncv)")


def saved_net_of(args, params_file=None, dataset=None, normalisation=(RGB_MEAN, RGB_STD)):
    """The `SavedNet` that the flags name.

    Parameters
    ----------
    args : Namespace
    params_file : path, optional
        Default: --params-file.
    dataset : str, optional
        Data set of the net if there is neither a record nor --dataset.
    normalisation : (mean, deviation)
        Default without a record, for images of no data set of train_cifar.py.

    Raises
    ------
    UserError
        If flags contradict each other or the record, or do not name the net.
    """
    if args.run_json and not args.params_file:
        raise UserError(f"--run-json {args.run_json}: is the record of a --params-file; give that too")
    if args.pretrained and args.params_file:
        raise UserError("--params-file and --pretrained: give one")
    given = {name: getattr(args, name) for name in GIVEN}
    given["crop_ratio"] = args.crop_ratio or None          # 0 is the default, as in GluonCV's script
    given["model_kwargs"] = keywords("--model-kwargs", args.model_kwargs)
    return saved_net(params_file or args.params_file, given, args.run_json, dataset, normalisation)


def add_tta_flag(group):
    """Add --tta."""
    group.add_argument("--tta", choices=tuple(VIEWS),
                       help="mean probabilities of each image and its mirror image, or of four corners, the "
                            "centre and their mirror images (default: the image as it is)")


def add_machine_flags(group):
    """Add the flags of numeric type, batch and devices."""
    group.add_argument("--dtype", choices=tuple(ROUNDING),
                       help="float16 is emulated on CPUs (slow), bfloat16 needs a CPU (default: the run's, "
                            "but float32 where that would need other devices)")
    group.add_argument("--batch-size", type=int, help="images per device (default: the run's, else 32)")
    group.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    group.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                       help="threads that decode (default 4)")


def with_machine(args):
    """The flags with type and batch of the run in `saved` where none are given."""
    run = args.saved.run
    dtype, batch_size = (run.dtype, run.flag("batch_size", int, 32)) if run else ("float32", 32)
    is_emulated = bool(run) and run.flag("emulated_float16", bool, False)
    if dtype == "bfloat16" if args.num_gpus else dtype == "float16" and not is_emulated:
        dtype = "float32"                                  # of other devices
    args = completed(args, dtype=args.dtype or dtype,
                     batch_size=batch_size if args.batch_size is None else args.batch_size,
                     use_amx=run.flag("use_amx", bool, True) if run else True)
    check_numbers(args)                                    # also what the record says
    check_dtype(args.dtype, args.num_gpus)
    return args


def with_outputs(args, *names):
    """The flags with paths instead of text for those that name a file to write; makes the folders.

    Raises
    ------
    UserError
        If a file cannot be written there, is that of another flag, or is the record of the net.
    """
    files = output_files({f"--{name}": getattr(args, name) for name in names})
    for flag, path in files.items():
        if args.saved.run and path.resolve() == args.saved.run.path.resolve():
            raise UserError(f"{flag} {path}: is the record of the net; give another name")
    return completed(args, **{flag[2:]: path for flag, path in files.items()})
