"""Every flag of the data on every path of train_imagenet.py: obeyed or refused."""

import pytest
from test_flag_table import parser_of

import train_imagenet
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.data_paths import ANY, FOLDER_MEAN, OBEYED, PATHS, RGB_MEAN
from gluon_tricks.script.flags import flag_name

# The flags that choose a path
CHOOSE = {"ours": ["--use-rec"], "mxnet": ["--use-rec", "--data-backend", "mxnet"], "folders": [],
          "dali": ["--data-backend", "dali-cpu", "--num-gpus", "1"], "synthetic": ["--synthetic"]}
# Flag -> values to give; where the parser has a default, it is among them
VALUES = {"use_rec": [True], "data_backend": ["ours", "mxnet"], "data_dir": ["~/.mxnet/datasets/imagenet/"],
          "rec_dir": ["recs"],
          "rec_train": ["a.rec"], "rec_train_idx": ["a.idx"], "rec_val": ["b.rec"], "rec_val_idx": ["b.idx"],
          "rgb_mean": ["0,0,0", "123.68, 116.779, 103.939"], "rgb_std": ["1,1,1"], "crop_ratio": ["1", "0.875"],
          "num_workers": ["4", "1"], "on_bad_record": ["fail", "skip"],
          "crop_law": ["rec", "folder", "paper", "efficientnet"], "colors": ["gluoncv", "paper"],
          "auto_aug": [True], "val_protocol": ["gluoncv", "exact"], "dali_threads": ["3"],
          "dali_validation_threads": ["10"], "dali_prefetch_queue": ["2"], "dali_nvjpeg_memory_padding": ["64"],
          "dali_fuse_decoder": ["1"]}


def parse(*flags):
    return train_imagenet.parse_args(["--model", "resnet18_v1b", *flags])


def test_the_walk_has_every_flag_and_path():
    assert set(VALUES) == set(OBEYED) and set(CHOOSE) == set(PATHS)


def test_every_flag_of_the_data_is_in_the_table(monkeypatch):
    groups = {group.title: {action.dest for action in group._group_actions}
              for group in parser_of(train_imagenet, monkeypatch)._action_groups}
    data = next(names for title, names in groups.items() if title.startswith("Data"))
    dali = next(names for title, names in groups.items() if "DALI" in title)
    on_every_path = {"input_size", "num_training_samples"}
    assert data | dali == {*OBEYED, *on_every_path} - {"on_bad_record", "crop_law", "colors", "auto_aug",
                                                       "val_protocol", "rec_dir"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name, value", [(name, value) for name, values in VALUES.items() for value in values])
def test_a_flag_is_obeyed_or_refused(path, name, value):
    """Also a flag that is given with its default value."""
    if name == "data_backend" and path in ("mxnet", "dali") or name in ("use_rec", "rec_dir") and path == "folders":
        return                                             # chooses another path
    words = [flag_name(name)] if value is True else [f"{flag_name(name)}={value}"]
    allowed = OBEYED[name].get(path, ())
    if allowed is ANY or value in allowed:
        assert getattr(parse(*CHOOSE[path], *words), name) is not None
        return
    with pytest.raises(UserError) as raised:
        parse(*CHOOSE[path], *words)
    message = str(raised.value)
    assert flag_name(name) in message and PATHS[path] in message and "leave it out" in message


def test_all_ignored_flags_are_named_at_once():
    with pytest.raises(UserError, match="^--use-rec, --rec-train, --num-data-workers: no effect on random images "
                                        r"\(--synthetic\); leave them out$"):
        parse("--synthetic", "--use-rec", "--rec-train", "x.rec", "-j", "8")


def test_the_window_needs_mxnets_iterator():
    with pytest.raises(UserError, match="--val-protocol gluoncv: .* have only exact; .* --data-backend mxnet"):
        parse("--use-rec", "--val-protocol", "gluoncv")


def test_flags_of_train_horovod_are_checked_as_they_were_typed():
    """The translation names --rgb-mean and others that the user did not give."""
    assert parse("--flags", "horovod", "--synthetic", "--no-cuda").synthetic
    with pytest.raises(UserError, match="^--rec-train: no effect on random images"):
        train_imagenet.parse_args(["--flags", "horovod", "--synthetic", "--no-cuda", "--rec-train", "x.rec"])


def test_means_are_those_given_or_those_of_the_path():
    assert parse().rgb_mean == FOLDER_MEAN and parse("--use-rec").rgb_mean == RGB_MEAN
    assert parse("--rgb-mean", "1,2,3").rgb_mean == (1, 2, 3) == parse("--use-rec", "--rgb-mean", "1,2,3").rgb_mean


def test_an_index_is_next_to_its_record_file_unless_it_is_given():
    args = parse("--use-rec", "--rec-train", "/data/t.rec", "--rec-val-idx", "/other/v.idx")
    assert (args.rec_train_idx, args.rec_val_idx) == ("/data/t.idx", "/other/v.idx")
    assert parse("--use-rec", "--dataset", "places365").rec_val_idx == "~/.mxnet/datasets/places365/rec/val.idx"
