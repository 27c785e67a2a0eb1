"""The net of --teacher (§5.3), and what its record must have in common with the student."""

from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import make_net
from gluon_tricks.models.loading import SUFFIXES
from gluon_tricks.models.ready import compute_dtype, load_params, make_ready
from gluon_tricks.recipes.data_paths import RGB_MEAN, RGB_STD
from gluon_tricks.saved.described import rounded, same_normalisation, saved_net
from gluon_tricks.saved.names import check_same_classes, published_names
from gluon_tricks.saved.record import find_run


def teacher_parts(teacher):
    """`(name, file)` of --teacher NAME, NAME:FILE or FILE; "" where there is none."""
    name, _, path = teacher.partition(":")
    return ("", teacher) if "/" in name or not path and teacher.endswith(SUFFIXES) else (name, path)


def build_teacher(args, student, precision, engine):
    """The net of --teacher: NAME with the zoo's weights, NAME:FILE, or FILE with the record of its training.

    Parameters
    ----------
    args : Namespace
    student : NetFacts
        Of the net in training. Its teacher sees the same images.
    precision : Precision
    engine : SingleProcess or another engine

    Raises
    ------
    UserError
        If the teacher knows other classes, or was trained on images that were prepared otherwise.
    """
    name, path = teacher_parts(args.teacher)
    if path:
        run = find_run(path)
        if not (run or name):
            raise UserError(f"--teacher {args.teacher}: has no record of its training next to it; give "
                            "NAME:FILE")
        saved = saved_net(path, {} if run else {"model": name}, dataset=student.dataset)
        if run:
            check_teacher(args.teacher, name, run, student)
        teacher = make_net(saved.facts.model, student.classes, saved.facts.switches)
        load_params(teacher, "--teacher", path, engine)
    else:
        check_zoo_teacher(args.teacher, student)
        teacher = make_net(name, student.classes, {}, pretrained=True)
    teacher.collect_params().reset_ctx(engine.ctx)
    teacher.cast(compute_dtype(precision.dtype))
    make_ready(teacher, student.input_size, precision.dtype, args.mode, engine, student.channels,
               f"--teacher {args.teacher}")
    return teacher


def check_teacher(teacher, name, run, student):
    """Raise UserError for a teacher that its record shows to be another net, or to have seen other images."""
    net = run.net
    its, ours = (f"mean {rounded(one.rgb_mean)} and deviation {rounded(one.rgb_std)}"
                 for one in (net, student))
    for is_same, trained, instead in (
            (not name or name.lower() == net.model.lower(), f"as a {net.model}", f"as a {name}"),
            (net.classes == student.classes, f"for {net.classes} classes", f"for {student.classes}"),
            (same_normalisation(net, student.rgb_mean, student.rgb_std), f"with {its}", f"with {ours}")):
        if not is_same:
            raise UserError(f"--teacher {teacher}: was trained {trained} (see {run.path}), not {instead}")
    check_same_classes(f"--teacher {teacher}", net.class_names, "the training set", student.class_names)


def check_zoo_teacher(teacher, student):
    """Raise UserError for data whose classes or normalisation are not those of the zoo's weights."""
    if student.classes != 1000:
        raise UserError(f"--teacher {teacher}: the zoo's weights are for 1000 classes, the data have "
                        f"{student.classes}; give {teacher}:FILE, parameters for {student.classes} classes")
    if not same_normalisation(student, RGB_MEAN, RGB_STD):
        raise UserError(f"--teacher {teacher}: the zoo's weights are for --rgb-mean {rounded(RGB_MEAN)} "
                        f"--rgb-std {rounded(RGB_STD)}, not {rounded(student.rgb_mean)} and "
                        f"{rounded(student.rgb_std)}")
    check_same_classes(f"--teacher {teacher}", published_names(), "the training set", student.class_names)
