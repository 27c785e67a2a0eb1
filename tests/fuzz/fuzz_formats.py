"""Every format of a file that users or other tools supply: a whole file, its reader, and what it may answer."""

import io
import json
import pickle
import resource
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Callable, NamedTuple

import mxnet as mx
import numpy as np
from fuzz_mutations import TOKEN, mutate
from mxnet import autograd, gluon, nd

from gluon_tricks.data import manifest, recordio, voc
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.facts import read_facts
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.log_lines.run_files import read_metrics
from gluon_tricks.models.loading import load_params
from gluon_tricks.parameters import flat
from gluon_tricks.saved.record import find_run
from gluon_tricks.training import archive, checkpoint, trainer_states
from gluon_tricks.training.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
SECONDS, BYTES = 2, 500 << 20
FACTS = {"model": "tiny", "classes": 4, "dataset": "cifar10", "data_root_hash": "ab", "seed": 0, "dtype": "float32",
         "devices": 1, "world_size": 1, "mixup": False, "global_batch_size": 8, "threads": "1",
         "args": {"lr": 0.1, "num_workers": 2}}
PROGRESS = Progress(epoch=1, batch=2, num_update=5, loss_sum=1.25, metric_sum=3.0, metric_count=4, best_val=0.5,
                    history=[{"epoch": 0, "val": 0.5, "loss": 1.0, "lr": 0.1, "train": 0.5}])


class Format(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    make : callable, (folder) -> path of a whole file
    read : callable, (path) -> what the file says, a value that can be compared; raises UserError
    says : callable, (damaged bytes, value) -> bool, optional
        For formats without a hash: whether another value than the whole file's is what the damaged bytes say.
    """
    make: Callable
    read: Callable
    says: Callable = None


def outcome_of(form, path, whole, content):
    """What a reader does with damaged bytes: "equal", "refused", "traceback: ...", "silent difference" or "over
    limits: ..."."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        with memory_limit():
            value = form.read(path)
        result = "equal"
        if value != whole and not (form.says and form.says(content, value)):
            result = "silent difference"
    except UserError as error:             # `run_main` makes it printable
        result = "refused" if str(error) else "traceback: an empty message"
    except Exception as error:             # whatever it is, it is what this looks for
        result = f"traceback: {type(error).__name__}: {str(error)[:200]}"
    seconds = time.process_time() - start
    return f"over limits: {seconds:.1f} s" if seconds > SECONDS else result


@contextmanager
def memory_limit():
    """Within the block, the process can have 500 MB more than at its start; more is a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def damaged(content, seed):
    """One way of damage, chosen by `seed`. Archives are also packed again with one member changed."""
    rng = Random(seed)
    if content.startswith(b"PK") and rng.random() < 0.6:
        return repacked(content, rng)
    for _ in range(20):
        result = mutate(content, rng)
        if result != content:
            break
    return result


def repacked(content, rng):
    """A well-formed archive without hash, in which a member is missing, has another name, type or shape, or is not
    finite; or in which `meta` is damaged."""
    with np.load(io.BytesIO(content)) as opened:
        arrays = {name: opened[name] for name in opened.files}
    arrays["meta"], _ = archive.unsealed(arrays["meta"])
    name = rng.choice([*(["meta"] * len(arrays)), *arrays])
    value = arrays.pop(name)
    if name == "meta":
        arrays[name] = np.frombuffer(mutate(value.tobytes(), rng), np.uint8)
    else:
        changed = np.full(value.shape, np.nan, value.dtype)
        arrays.update(rng.choice(({}, {name: value[:1]}, {name: value.astype("f8")}, {name: changed}, {name: value[None]},
                                  {f"{name}x": value}, {name: value.astype("S")}, {name: value, "other": value})))
    stream = io.BytesIO()
    rng.choice((np.savez, np.savez, np.savez_compressed))(stream, **arrays)
    return stream.getvalue()


# --- Nets ---------------------------------------------------------------------------------------------------

def tiny():
    """A net with convolution, BatchNorm and bias, and its Trainer."""
    mx.random.seed(0)
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(5, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=5),
            gluon.nn.Dense(4, in_units=20))
    net.initialize(mx.init.Xavier())
    trainer = SingleProcess([mx.cpu()]).trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.9))
    with autograd.record():
        loss = net(nd.ones((2, 3, 4, 4))).sum()
    loss.backward()
    trainer.step(2)
    mx.nd.waitall()
    return net, trainer


class Nets:
    """One net for all readings; made at the first."""

    def __init__(self):
        self._made = None

    def __call__(self):
        self._made = self._made or tiny()
        return self._made


nets = Nets()


def params_of(net):
    return {name: param.list_data()[0].asnumpy() for name, param in net._collect_params_with_prefix().items()}


def states_of(trainer):
    return {str(i): [value.asnumpy() for value in flat(state)] for i, state in trainer._updaters[0].states.items()}


def comparable(arrays):
    return json.dumps({name: [(one.shape, one.tobytes().hex()) for one in (value if isinstance(value, list) else [value])]
                       for name, value in arrays.items()}, sort_keys=True)


def values_are_there(content, value):
    """Whether each array of a value stands in the bytes, with the shape of the whole file's."""
    net, trainer = nets()
    shapes = {name: [one.shape for one in (array if isinstance(array, list) else [array])]
              for name, array in {**params_of(net), **states_of(trainer)}.items()}
    return all(tuple(shape) == expected and (bytes.fromhex(values) in content or as_text(values) in content)
               for name, parts in json.loads(value).items() for (shape, values), expected in zip(parts, shapes[name]))


def as_text(values):
    """Bytes, given in hexadecimal digits, as protocol 2 of pickles stores them."""
    return bytes.fromhex(values).decode("latin-1").encode("utf-8", "surrogatepass")


def make_params(folder):
    checkpoint.save_params(tiny()[0], folder / "net.params")
    return folder / "net.params"


def make_foreign_params(folder):
    tiny()[0].save_parameters(str(folder / "net.params"))
    return folder / "net.params"


def read_params(path):
    net, _ = nets()
    before = comparable(params_of(net))
    try:
        load_params(net, "--params-file", path, mx.cpu())
    except UserError:
        assert comparable(params_of(net)) == before, "a refused file has changed the net"
        raise
    return comparable(params_of(net))


def make_states(folder):
    trainer_states.save_states(tiny()[1], folder / "net.states")
    return folder / "net.states"


def make_foreign_states(folder):
    tiny()[1].save_states(str(folder / "net.states"))
    return folder / "net.states"


def make_old_states(folder):
    """As Python 3.6 wrote them."""
    states = pickle.loads(tiny()[1]._updaters[0].get_states(dump_optimizer=True))
    (folder / "net.states").write_bytes(pickle.dumps(states, protocol=2))
    return folder / "net.states"


def read_states(path):
    trainer_states.load_states(path, nets()[1])
    return comparable(states_of(nets()[1]))


def make_resume(folder):
    checkpoint.save_resume(folder / "r.npz", *tiny(), PROGRESS, FACTS)
    return folder / "r.npz"


def read_resume(path):
    net, trainer = nets()
    facts, progress = checkpoint.read_meta(path)
    checkpoint.check_facts(path, facts, FACTS)
    checkpoint.check_position(path, facts, FACTS, progress, lambda epoch: 3, 10)
    before = comparable(params_of(net)), comparable(states_of(trainer))
    try:
        checkpoint.load_resume(path, net, trainer)
    except UserError:
        assert before == (comparable(params_of(net)), comparable(states_of(trainer))), "a refused file changed the net"
        raise
    return comparable(params_of(net)), comparable(states_of(trainer)), repr(facts), repr(asdict(progress))


def meta_says(content, value):
    """Whether arrays are the whole file's, and facts and progress are those in a file without hash."""
    with np.load(io.BytesIO(content)) as opened:
        content, digest = archive.unsealed(opened["meta"])
    if digest:
        return False
    meta = json.loads(content.tobytes())
    whole = comparable(params_of(nets()[0])), comparable(states_of(nets()[1]))
    return value == (*whole, repr(meta["facts"]), repr(asdict(Progress(**meta["progress"]))))


# --- Text ---------------------------------------------------------------------------------------------------

def make_run_json(folder):
    path = folder / "run.json"
    path.write_bytes((ROOT / "logs/ours/cifar_resnet20_v1/run.json").read_bytes())
    return path


def facts_say(content, value):
    """Whether facts are those in the text; a reader may write what cannot be printed as escapes."""
    return repr(json.loads(content)).replace("\\", "") == value.replace("\\", "")


def make_metrics(folder):
    path = folder / "metrics.jsonl"
    whole = (ROOT / "logs/ours/cifar_resnet20_v1/metrics.jsonl").read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:12]))
    return path


def lines_say(content, value):
    """Whether records are those that Python's own reader finds in the complete lines."""
    found = []
    for line in content.split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return repr(found) == value


def make_log(folder):
    path = folder / "train.log"
    source, = (ROOT / "logs/ours/cifar_resnet20_v1").glob("*.log")
    path.write_bytes(source.read_bytes()[:6000])
    return path


def log_says(content, value):
    """Whether each error and epoch of a log stands in its text, as an error or as an accuracy."""
    numbers = {number for match in TOKEN.finditer(content) for number in as_numbers(match[0])}
    numbers |= {round(1 - number, 6) for number in numbers}
    return all(error is None or round(error, 6) in numbers for _, error in json.loads(value))


def as_numbers(token):
    try:
        return [round(float(token), 6)]
    except (ValueError, OverflowError):
        return []


def read_log_file(path):
    return json.dumps([(record.epoch, record.val_err_top1) for record in read_log(path).epochs])


XML = """<annotation><size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult>
<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>90</ymax></bndbox></object>
<object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>200</xmin><ymin>20</ymin><xmax>250</xmax><ymax>90</ymax></bndbox></object></annotation>
"""


def make_xml(folder):
    (folder / "a.xml").write_text(XML)
    return folder / "a.xml"


def read_xml(path):
    found = voc.parse_annotation(path.read_bytes(), path)
    return found.width, found.height, found.names, found.boxes.tolist(), found.difficult.tolist()


def xml_says(content, value):
    """Whether size, names and boxes are those that the text has."""
    root = ET.fromstring(content)
    width, height, names, boxes, _ = value
    corners = [[np.float32(float(item.findtext(f"bndbox/{side}")) - 1) for side in ("xmin", "ymin", "xmax", "ymax")]
               for item in root.iter("object")]
    return (int(float(root.findtext("size/width"))), int(float(root.findtext("size/height")))) == (width, height) and (
        [item.findtext("name").strip().lower() for item in root.iter("object")] == list(names)) and corners == boxes


def make_list(folder):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / "VOC2007" / name).mkdir(parents=True)
    names = [f"{number:06d}" for number in range(12)]
    for name in names:
        (folder / "VOC2007" / "Annotations" / f"{name}.xml").write_text(XML)
        (folder / "VOC2007" / "JPEGImages" / f"{name}.jpg").write_bytes(b"")
    path = folder / "VOC2007" / "ImageSets" / "Main" / "trainval.txt"
    path.write_text("".join(f"{name}  1\n" for name in names))
    return path


def read_list(path):
    return [Path(item).stem for item in voc.VocDetection(path.parents[3], [(2007, "trainval")]).items]


def list_says(content, value):
    """Whether the names stand in the text, in this order, one a line."""
    return value == [line.split()[0] for line in content.decode("utf-8", "replace").splitlines() if line.strip()]


# --- Records ------------------------------------------------------------------------------------------------

def make_records(folder, name="train.rec"):
    payloads = [recordio.image_payload(key, key % 3, bytes([key]) * (20 + key)) for key in range(8)]
    frames = [recordio.frame(payload) for payload in payloads]
    starts = np.cumsum([0, *map(len, frames)])
    (folder / "train.rec").write_bytes(b"".join(frames))
    (folder / "train.idx").write_text("".join(f"{key}\t{start}\n" for key, start in enumerate(starts[:-1])))
    return folder / name


def read_records(path):
    reader = recordio.RecordReader(path.with_suffix(".rec"))
    found = [reader.read_image(position) for position in range(len(reader))]
    return [(np.asarray(label).tolist(), image.hex(), key) for label, image, key, _ in found]


def records_say(content, value):
    """Whether the images stand in the bytes, each once and in this order."""
    at = 0
    for _, image, _ in value:
        at = content.find(bytes.fromhex(image), at)
        if at < 0:
            return False
    return len(value) == 8


def index_says(content, value):
    """Whether the images are those that begin at the offsets in the text, in its order."""
    starts = {0: 0}
    for key in range(8):
        starts[max(starts) + len(recordio.frame(recordio.image_payload(key, 0, bytes(20 + key))))] = key + 1
    lines = [line.split("\t") for line in content.decode("ascii").splitlines()]
    return [starts.get(int(offset)) for _, offset in lines] == [len(image) // 2 - 20 for _, image, _ in value]


def make_manifest(folder):
    rec = make_records(folder)
    rows = [manifest.record_row(key, key % 3, recordio.image_payload(key, key % 3, bytes([key]) * (20 + key)))
            for key in range(8)]
    split = manifest.describe_split(folder, rec.stem, ["a", "b", "c"], rows)
    manifest.write_manifest(folder, manifest.Manifest("own", ["a", "b", "c"], {}, {"train": split}, "1.0"))
    return folder / "manifest.json"


def read_manifest(path):
    found = manifest.read_manifest(path.parent)
    manifest.open_split(path.parent, "train", found)
    return repr(json.loads(json.dumps(asdict(found))))


def make_rows(folder):
    make_manifest(folder)
    return folder / "train.records.npy"


def read_rows(path):
    return manifest.read_rows(path.parent, "train", manifest.read_manifest(path.parent).splits["train"]).tobytes()


def manifest_says(content, value):
    """Whether the fields are those in the text; hashes and classes decide whether records are accepted."""
    stated = json.loads(content)
    return all(repr(stated[name]) in value for name in ("dataset", "classes", "splits") if name in stated)


FORMATS = {
    "params": Format(make_params, read_params),
    "params of MXNet": Format(make_foreign_params, read_params, values_are_there),
    "states": Format(make_states, read_states),
    "states of MXNet": Format(make_foreign_states, read_states, values_are_there),
    "states of Python 3.6": Format(make_old_states, read_states, values_are_there),
    "resume": Format(make_resume, read_resume, meta_says),
    "run.json": Format(make_run_json, lambda path: repr(read_facts(path)), facts_say),
    "record of a net": Format(make_run_json, lambda path: repr(find_run(path.with_name("net.params"))),
                              lambda content, value: isinstance(json.loads(content), dict)),
    "metrics": Format(make_metrics, lambda path: repr(read_metrics(path)), lines_say),
    "manifest": Format(make_manifest, read_manifest, manifest_says),
    "rows": Format(make_rows, read_rows),
    "idx": Format(lambda folder: make_records(folder, "train.idx"), read_records, index_says),
    "rec": Format(make_records, read_records, records_say),
    "log": Format(make_log, read_log_file, log_says),
    "xml": Format(make_xml, read_xml, xml_says),
    "lst": Format(make_list, read_list, list_says),
}
